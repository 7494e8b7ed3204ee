// Which steps have passed, kept in the work folder so that the next call goes on where this one ended.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

export class Ledger {
  #results = new Map();

  /** `bundle`: what passed in another bundle does not count. A file that cannot be read is one without entries. */
  constructor(file, bundle) {
    this.file = file;
    this.bundle = bundle;
    try {
      const stored = JSON.parse(readFileSync(file, 'utf8'));
      if (stored.bundle === bundle) this.#results = new Map(stored.results.map((result) => [result.step, result]));
    } catch {}
  }

  passed(step) {
    return this.#results.get(step);
  }

  add(result) {
    this.#results.set(result.step, result);
    mkdirSync(dirname(this.file), { recursive: true });
    writeFileSync(`${this.file}.tmp`, JSON.stringify({ bundle: this.bundle, results: [...this.#results.values()] }));
    renameSync(`${this.file}.tmp`, this.file);
  }
}
