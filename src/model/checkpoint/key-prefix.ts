/** Prefixes that wrappers of the network leave on every key: DistributedDataParallel and ModelScope's trainer. */
const prefixes = ['module.', 'model.'];

/** Published name → name as stored, with the prefixes that all names share taken off. */
export function withoutPrefix(stored: Iterable<string>): Map<string, string> {
  let names = new Map(Array.from(stored, (name) => [name, name]));
  for (;;) {
    const prefix = prefixes.find(
      (candidate) => names.size > 0 && [...names.keys()].every((n) => n.startsWith(candidate)),
    );
    if (prefix === undefined) return names;
    names = new Map(Array.from(names, ([name, original]) => [name.slice(prefix.length), original]));
  }
}
