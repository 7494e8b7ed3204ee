import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

/**
 * Names of processes in the names of files, such as a lock or a mark of use: host, process id and the time the process
 * began, so that a number that was given again is not taken for the process that left the file.
 */
export interface ProcessName {
  readonly host: string;
  readonly pid: number;
  /** In ticks since the machine started, where the system tells. */
  readonly began: string;
}

/** A process of another machine cannot be asked: what it left counts as dead after this time. */
const foreignMilliseconds = 24 * 3600 * 1000;

export function ownProcess(): ProcessName {
  return { host: hostname(), pid: process.pid, began: processBegan(process.pid) ?? '' };
}

/** As part of a file's name. */
export function processLabel({ host, pid, began }: ProcessName = ownProcess()): string {
  return `${host.replace(/[^A-Za-z0-9.-]/g, '_').slice(0, 64)}_${pid}_${began}`;
}

/** Whether the process that a label names may still run; `ageMilliseconds` is the time since it last gave a sign of life. */
export function mayBeAlive(label: string, ageMilliseconds: number, patience = foreignMilliseconds): boolean {
  const [, host, pid, began] = /^(.*)_(\d+)_(\d*)$/.exec(label) ?? [];
  if (host === undefined || pid === undefined) return false;
  if (processLabel({ host: hostname(), pid: 0, began: '' }) !== `${host}_0_`) return ageMilliseconds < patience;
  return isAlive(Number(pid), began ?? '');
}

function isAlive(pid: number, began: string): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives, as another user's.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const now = processBegan(pid);
  return now === undefined || began === '' || now === began;
}

/** Linux: field 22 of /proc/<pid>/stat, behind the name, which may itself hold spaces and brackets. */
function processBegan(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
