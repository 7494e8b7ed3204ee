import { buildObject, isCount, PickleProblem } from './pickle-build.js';
import { PickleInput } from './pickle-input.js';
import {
  allowedGlobal,
  PickleDict,
  PickleGlobal,
  PickleInert,
  PickleTuple,
  type PickleValue,
  TorchStorage,
} from './pickle-values.js';

/** A full-size checkpoint with its optimizer takes some 10^5 steps; each can make an object of some 100 bytes. */
const limits = { steps: 2_000_000, stack: 100_000, marks: 1000, memo: 500_000, depth: 100 };

const stop = 0x2e;

/**
 * Reads one pickle (protocols 2 to 5, the opcodes that data needs) into plain values. Nothing is imported, called or
 * looked up: a global is a name on an allow-list, and "reducing" one builds a record of this module's own.
 * Throws {@link PickleProblem} on anything else, and on whatever exceeds the limits.
 */
export function readPickle(bytes: Uint8Array): PickleValue {
  return new PickleMachine(bytes).run();
}

class PickleMachine {
  readonly #input: PickleInput;
  #stack: PickleValue[] = [];
  readonly #marks: PickleValue[][] = [];
  readonly #memo = new Map<number, PickleValue>();
  /** Nesting of containers, to refuse towers of them. */
  readonly #depths = new WeakMap<object, number>();

  constructor(bytes: Uint8Array) {
    this.#input = new PickleInput(bytes);
  }

  run(): PickleValue {
    for (let step = 0; step < limits.steps; step++) {
      const at = this.#input.position;
      try {
        const opcode = this.#input.byte();
        if (opcode === stop) return this.#popMany(1)[0]!;
        const value = this.#make(opcode);
        if (value !== undefined) this.#stack.push(value);
        else this.#act(opcode);
      } catch (error) {
        throw error instanceof PickleProblem ? error.at(at) : error;
      }
      if (this.#stack.length > limits.stack) throw new PickleProblem('piles up too many values').at(at);
    }
    throw new PickleProblem(`takes more than ${limits.steps} steps`).at(this.#input.position);
  }

  /** The value that an opcode pushes; undefined for opcodes that push none. */
  #make(opcode: number): PickleValue | undefined {
    const input = this.#input;
    switch (opcode) {
      case 0x32: // DUP
        return this.#top();
      case 0x4e: // NONE
        return null;
      case 0x88: // NEWTRUE
        return true;
      case 0x89: // NEWFALSE
        return false;
      case 0x4b: // BININT1
        return input.byte();
      case 0x4d: // BININT2
        return input.take(2).readUInt16LE();
      case 0x4a: // BININT
        return input.take(4).readInt32LE();
      case 0x8a: // LONG1
        return input.integer(1);
      case 0x8b: // LONG4
        return input.integer(4);
      case 0x47: // BINFLOAT
        return input.take(8).readDoubleBE();
      case 0x8c: // SHORT_BINUNICODE
        return input.text(1);
      case 0x58: // BINUNICODE
        return input.text(4);
      case 0x8d: // BINUNICODE8
        return input.text(8);
      case 0x55: // SHORT_BINSTRING
      case 0x43: // SHORT_BINBYTES
        return input.bytes(1);
      case 0x54: // BINSTRING
      case 0x42: // BINBYTES
        return input.bytes(4);
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        return input.bytes(8);
      case 0x29: // EMPTY_TUPLE
        return this.#tuple([]);
      case 0x85: // TUPLE1, 2, 3
      case 0x86:
      case 0x87:
        return this.#tuple(this.#popMany(opcode - 0x84));
      case 0x74: // TUPLE
        return this.#tuple(this.#popMark());
      case 0x5d: // EMPTY_LIST
      case 0x8f: // EMPTY_SET: nobody needs its being a set
        return [];
      case 0x6c: // LIST
      case 0x91: // FROZENSET
        return this.#extend([], this.#popMark());
      case 0x7d: // EMPTY_DICT
        return new PickleDict();
      case 0x64: // DICT
        return this.#setItems(new PickleDict(), this.#popMark());
      case 0x68: // BINGET
        return this.#recall(input.byte());
      case 0x6a: // LONG_BINGET
        return this.#recall(input.count(4, 2 ** 32));
      case 0x63: // GLOBAL
        return this.#global(input.line(), input.line());
      case 0x93: // STACK_GLOBAL
        return this.#global(...(this.#popMany(2) as [PickleValue, PickleValue]));
      case 0x52: // REDUCE
      case 0x81: // NEWOBJ
        return this.#reduce(...(this.#popMany(2) as [PickleValue, PickleValue]));
      case 0x51: // BINPERSID
        return storage(this.#popMany(1)[0]!);
      default:
        return undefined;
    }
  }

  #act(opcode: number): void {
    const input = this.#input;
    switch (opcode) {
      case 0x80: // PROTO
        if (input.byte() > 5) throw new PickleProblem('has an unknown protocol');
        break;
      case 0x95: // FRAME: its length is of no use here
        input.take(8);
        break;
      case 0x28: // MARK
        if (this.#marks.length >= limits.marks) throw new PickleProblem('is nested too deeply');
        this.#marks.push(this.#stack);
        this.#stack = [];
        break;
      case 0x30: // POP
        this.#popMany(1);
        break;
      case 0x31: // POP_MARK
        this.#popMark();
        break;
      case 0x61: // APPEND
        this.#append(this.#popMany(1));
        break;
      case 0x65: // APPENDS
      case 0x90: // ADDITEMS
        this.#append(this.#popMark());
        break;
      case 0x73: // SETITEM
        this.#assign(this.#popMany(2));
        break;
      case 0x75: // SETITEMS
        this.#assign(this.#popMark());
        break;
      case 0x71: // BINPUT
        this.#memorise(input.byte());
        break;
      case 0x72: // LONG_BINPUT
        this.#memorise(input.count(4, 2 ** 32));
        break;
      case 0x94: // MEMOIZE
        this.#memorise(this.#memo.size);
        break;
      case 0x62: // BUILD
        this.#build(this.#popMany(1)[0]!);
        break;
      default: {
        const code = opcode.toString(16).padStart(2, '0');
        throw new PickleProblem(`uses the opcode 0x${code}, which data does not need`);
      }
    }
  }

  #reduce(callee: PickleValue, args: PickleValue): PickleValue {
    if (!(callee instanceof PickleGlobal)) throw new PickleProblem('calls something that is not a class');
    if (!(args instanceof PickleTuple)) throw new PickleProblem(`calls ${callee.name} without arguments`);
    return this.#nested(buildObject(callee, args.items), args.items);
  }

  /** The state dict carries its `_metadata` as an attribute; nothing else needs attributes, and all are dropped. */
  #build(state: PickleValue): void {
    const target = this.#top();
    if (target instanceof PickleInert) return;
    if (!(target instanceof PickleDict) || !(state instanceof PickleDict)) {
      throw new PickleProblem('sets attributes on something that is not a state dict');
    }
    for (const name of state.entries.keys()) {
      if (name !== '_metadata') throw new PickleProblem(`sets the attribute ${label(name)}`);
    }
  }

  #global(module: PickleValue, name: PickleValue): PickleGlobal {
    if (typeof module !== 'string' || typeof name !== 'string') throw new PickleProblem('names a global by no text');
    const found = allowedGlobal(module, name);
    if (!found) throw new PickleProblem(`asks for the global ${label(`${module}.${name}`)}`, true);
    return found;
  }

  #memorise(index: number): void {
    if (this.#memo.size >= limits.memo && !this.#memo.has(index)) throw new PickleProblem('remembers too many values');
    this.#memo.set(index, this.#top());
  }

  #recall(index: number): PickleValue {
    const value = this.#memo.get(index);
    if (value === undefined) throw new PickleProblem(`recalls value ${index}, which it never stored`);
    return value;
  }

  #append(items: readonly PickleValue[]): void {
    const list = this.#top();
    if (list instanceof PickleInert) return;
    if (!Array.isArray(list)) throw new PickleProblem('appends to something that is not a list');
    this.#extend(list, items);
  }

  #extend(list: PickleValue[], items: readonly PickleValue[]): PickleValue[] {
    for (const item of items) list.push(item);
    return this.#nested(list, items);
  }

  #assign(items: readonly PickleValue[]): void {
    const dict = this.#top();
    if (dict instanceof PickleInert) return;
    if (!(dict instanceof PickleDict)) throw new PickleProblem('sets items of something that is not a dict');
    this.#setItems(dict, items);
  }

  #setItems(dict: PickleDict, items: readonly PickleValue[]): PickleDict {
    if (items.length % 2 !== 0) throw new PickleProblem('has a key without a value');
    for (let i = 0; i < items.length; i += 2) dict.entries.set(items[i]!, items[i + 1]!);
    return this.#nested(dict, items);
  }

  #tuple(items: PickleValue[]): PickleTuple {
    return this.#nested(new PickleTuple(items), items);
  }

  /** Notes how deep a container is once it holds `parts`. */
  #nested<T extends PickleValue>(container: T, parts: readonly PickleValue[]): T {
    if (typeof container !== 'object' || container === null) return container;
    let depth = this.#depths.get(container) ?? 1;
    for (const part of parts) {
      if (typeof part === 'object' && part !== null) depth = Math.max(depth, 1 + (this.#depths.get(part) ?? 0));
    }
    if (depth > limits.depth) throw new PickleProblem('is nested too deeply');
    this.#depths.set(container, depth);
    return container;
  }

  #popMany(count: number): PickleValue[] {
    if (this.#stack.length < count) throw new PickleProblem('takes a value that is not there');
    return this.#stack.splice(this.#stack.length - count, count);
  }

  #popMark(): PickleValue[] {
    const items = this.#stack;
    const below = this.#marks.pop();
    if (!below) throw new PickleProblem('takes a mark that is not there');
    this.#stack = below;
    return items;
  }

  #top(): PickleValue {
    const value = this.#stack.at(-1);
    if (value === undefined) throw new PickleProblem('takes a value that is not there');
    return value;
  }
}

/** ('storage', class, key, location, length): the location (`cpu`, `cuda:0`) says where it was, not where it is. */
function storage(id: PickleValue): TorchStorage {
  const [tag, type, key, location, length] = id instanceof PickleTuple ? id.items : [];
  const dtype = type instanceof PickleGlobal && type.role.kind === 'storage' ? type.role.dtype : undefined;
  if (tag !== 'storage' || !dtype || typeof key !== 'string' || typeof location !== 'string' || !isCount(length)) {
    throw new PickleProblem('refers to something that is not a storage');
  }
  return new TorchStorage(dtype, key, length);
}

function label(value: PickleValue): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 100)) : 'that is not text';
}
