import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { registerImport } from '../../src/cli/import.js';
import { registerInspect } from '../../src/cli/inspect.js';
import { registerTokenize } from '../../src/cli/tokenize.js';

const goldens = fileURLToPath(new URL('../goldens/', import.meta.url));
const checkpoint = join(goldens, 'checkpoint.pth.tar');
const given = ['--architecture', join(goldens, 'config.json'), '--tokenizer', join(goldens, 'tokenizer')];

let scratch: string;
let model: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'rvos-cli-'));
  model = join(scratch, 'model');
});
afterAll(async () => {
  await rm(scratch, { recursive: true });
});

/** Runs one command line; returns what it printed. */
async function rvos(...words: string[]): Promise<{ out: string; messages: string }> {
  const program = new Command('rvos').exitOverride();
  for (const register of [registerImport, registerInspect, registerTokenize]) register(program);
  for (const command of program.commands) command.exitOverride();
  const printed = { out: '', messages: '' };
  const capture = (stream: 'stdout' | 'stderr', key: 'out' | 'messages') =>
    vi.spyOn(process[stream], 'write').mockImplementation((text) => {
      printed[key] += String(text);
      return true;
    });
  const spies = [capture('stdout', 'out'), capture('stderr', 'messages')];
  try {
    await program.parseAsync(['node', 'rvos', ...words]);
    return printed;
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

describe('rvos import, inspect, tokenize', () => {
  it('imports, prints one JSON value, and says what it assumed on standard error', async () => {
    const { out, messages } = await rvos(
      'import',
      checkpoint,
      ...given,
      '--out',
      model,
      '--short-side',
      '72',
      '--long-side',
      '108',
      '--json',
    );
    const { model: description, warnings, path } = JSON.parse(out);
    expect(description).toMatchObject({
      name: 'model',
      preprocessing: { short_side: 72, long_side: 108 },
      precision: 'fp32',
    });
    expect([warnings, path, messages]).toEqual([[], model, '']);

    const assumed = await rvos(
      'import',
      checkpoint,
      '--tokenizer',
      given[3]!,
      '--out',
      join(scratch, 'assumed'),
      '--precision',
      'fp16',
    );
    expect(assumed.messages).toMatch(/^rvos: warning: assuming 8 heads/);
    expect(assumed.out).toMatch(/weights fp16/);
  });

  it('inspects the folder, the checkpoint and what is neither', async () => {
    const folder = JSON.parse((await rvos('inspect', model, '--json')).out);
    expect(folder).toMatchObject({ kind: 'model', path: model, model: { format: 'rvos-model' } });
    const found = JSON.parse((await rvos('inspect', checkpoint, '--json')).out);
    expect(found).toMatchObject({
      kind: 'checkpoint',
      format: 'pytorch',
      problem: null,
      parameters: folder.parameters,
    });
    expect(found.tensors.find((t: { name: string }) => t.name === 'obj_queries.weight')).toEqual({
      name: 'obj_queries.weight',
      dtype: 'F32',
      shape: [10, 64],
    });
    expect((await rvos('inspect', model)).out).toMatch(/complete, checksums right[\s\S]*10 queries/);
    expect((await rvos('inspect', checkpoint)).out).toMatch(/depths 2-2-2/);
    expect((await rvos('inspect', join(goldens, 'cases/a_T8_96x160.safetensors'))).out).toMatch(/not MTTR/);
    await expect(rvos('inspect', join(scratch, 'absent'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('tokenizes, also sentences that begin with a dash', async () => {
    const { out } = await rvos('tokenize', '--model', model, '--json', '--', 'The  DOG', '--x');
    expect(JSON.parse(out)).toEqual([
      { text: 'The  DOG', cleaned: 'the dog', ids: [0, 272, 589, 2], tokens: ['<s>', 'the', 'Ġdog', '</s>'] },
      expect.objectContaining({ text: '--x', cleaned: '--x' }),
    ]);
    expect((await rvos('tokenize', '--model', model, 'the dog')).out).toContain('589  Ġdog');
    await expect(rvos('tokenize', '--model', model, ' ')).rejects.toMatchObject({ code: 'BAD_SENTENCE' });
  });

  it.each([
    [['import', checkpoint]],
    [['import', '--out', 'x']],
    [['import', checkpoint, '--out', 'x', '--precision', 'int8']],
    [['import', checkpoint, '--out', 'x', '--short-side', '0']],
    [['import', checkpoint, '--out', 'x', '--min-score', '2']],
    [['tokenize', '--model', 'x']],
    [['inspect']],
  ])('calls %j wrong usage', async (words) => {
    await expect(rvos(...words)).rejects.toBeInstanceOf(CommanderError);
  });

  it.each(['import', 'inspect', 'tokenize'])('documents %s completely', async (command) => {
    const program = new Command('rvos');
    for (const register of [registerImport, registerInspect, registerTokenize]) register(program);
    const found = program.commands.find((candidate) => candidate.name() === command)!;
    expect(found.options.every(({ description }) => description.length > 10)).toBe(true);
    expect(found.registeredArguments.every(({ description }) => description.length > 10)).toBe(true);
  });
});
