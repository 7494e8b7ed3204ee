// Memory of a process and all its descendants, by /proc (Linux).
import { readdirSync, readFileSync } from 'node:fs';

/** Resident bytes of the tree below `root`, pages shared with files counted in each process. */
export function treeBytes(root = process.pid) {
  const parents = new Map();
  const resident = new Map();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      parents.set(Number(name), Number(fields[1]));
      resident.set(Number(name), Number(fields[21]) * 4096);
    } catch {
      // It ended in between.
    }
  }
  let sum = 0;
  for (const [pid, bytes] of resident) {
    let ancestor = pid;
    while (ancestor && ancestor !== root) ancestor = parents.get(ancestor);
    if (ancestor === root) sum += bytes;
  }
  return sum;
}

/** Watches the tree; `stop()` gives the peak in bytes. */
export function watchPeak(root = process.pid, everyMs = 50) {
  let peak = 0;
  const look = () => {
    peak = Math.max(peak, treeBytes(root));
  };
  const timer = setInterval(look, everyMs);
  return {
    stop() {
      clearInterval(timer);
      look();
      return peak;
    },
  };
}
