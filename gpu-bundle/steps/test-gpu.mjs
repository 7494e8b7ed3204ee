// npm run test:gpu, without the kernels' self-test, which has been a step of its own.
import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Found } from '../run-step.mjs';
import { environment } from './programs.mjs';

export async function testGpu(context) {
  const { exec, root, out, simulated } = context;
  const figures = join(out, 'test-gpu-figures.ndjson');
  const args = [join(root, 'scripts', 'test-gpu.mjs'), '--no-kernels', ...(simulated ? ['--no-sanitizer'] : [])];
  const { status, stdout } = await exec(process.execPath, args, {
    cwd: root,
    env: { ...environment(context), RVOS_FIGURES: figures, NO_COLOR: '1' },
  });
  process.stderr.write(stdout);
  const report = join(root, 'build', 'test-gpu.json');
  if (!existsSync(report)) throw new Found(`test:gpu ended with ${status} before any test`);
  copyFileSync(report, join(out, 'test-gpu.json'));
  const tests = JSON.parse(readFileSync(report, 'utf8')).testResults.flatMap(
    ({ assertionResults }) => assertionResults,
  );
  const failures = tests.filter((test) => test.status !== 'passed');
  const facts = { passed: tests.length - failures.length, failed: failures.length };
  if (status === 0) return facts;
  throw new Found(`exit code ${status}`, {
    ...facts,
    failures: failures.map(({ fullName, failureMessages }) => ({
      test: fullName,
      said: failureMessages?.[0]?.split('\n')[0],
    })),
  });
}
