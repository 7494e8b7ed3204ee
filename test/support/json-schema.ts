import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Ajv2020, type SchemaObject } from 'ajv/dist/2020.js';
import { expect } from 'vitest';

const folder = join(import.meta.dirname, '../../docs/schemas');

async function read(name: string): Promise<SchemaObject> {
  return { $id: name, ...(JSON.parse(await readFile(join(folder, name), 'utf8')) as SchemaObject) };
}

/** Whether a value is what docs/schemas/<name> says. */
export async function expectSchema(name: string, value: unknown): Promise<void> {
  const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true });
  for (const other of ['masks.schema.json', 'segment.schema.json']) ajv.addSchema(await read(other));
  const validate = ajv.getSchema(name)!;
  expect(validate(value) || validate.errors, name).toBe(true);
}
