// Makes src/model/onnx/onnx_pb.ts from onnx.proto. Needed only when the schema changes; the generator is not a
// dependency of the package, npx brings it.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const scratch = mkdtempSync(join(tmpdir(), 'rvos-proto-'));
const template = join(scratch, 'buf.gen.yaml');
writeFileSync(
  template,
  'version: v2\nplugins:\n  - local: protoc-gen-es\n    out: src/model/onnx\n    opt: [target=ts, import_extension=js]\n',
);
const result = spawnSync(
  'npx',
  [
    '--yes',
    '-p',
    '@bufbuild/buf@1.75.0',
    '-p',
    '@bufbuild/protoc-gen-es@2.17.0',
    'buf',
    'generate',
    'src/model/onnx',
    '--template',
    template,
  ],
  { stdio: 'inherit' },
);
rmSync(scratch, { recursive: true });
process.exit(result.status ?? 1);
