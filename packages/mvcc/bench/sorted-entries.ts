/**
 * What it costs to find the place of a random new key in a layer of heads.
 *
 *   node --conditions=@quorate/source packages/mvcc/bench/sorted-entries.ts [KEYS]
 *
 * Inserts KEYS keys (default 100,000) in random order, five times, and prints the least processor time an insertion took on average.
 */
import { KeyArena } from '../src/memtable/key-arena.ts';
import { SortedEntries } from '../src/memtable/sorted-entries.ts';

const count = Number(process.argv[2] ?? 100_000);
const shapes: Record<string, (n: number) => string> = {
  'pods, 39 bytes': (n) => `/registry/pods/namespace/pod-${String(n).padStart(10, '0')}`,
  'two namespaces': (n) => `/registry/${n % 2 === 0 ? 'pods' : 'leases'}/pod-${String(n).padStart(10, '0')}`,
  'hex, 16 bytes': (n) => Math.imul(n, 0x9e3779b1).toString(16).padStart(16, '0'),
};
for (const [name, keyOf] of Object.entries(shapes)) {
  const keys = Array.from({ length: count }, (_, i) => Buffer.from(keyOf(Math.imul(i, 7_919) >>> 0)));
  let random = 1;
  for (let i = keys.length - 1; i > 0; i--) {
    random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
    const other = Math.floor((random / 2 ** 32) * (i + 1));
    [keys[i], keys[other]] = [keys[other]!, keys[i]!];
  }
  let leastUs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    const arena = new KeyArena();
    const sorted = new SortedEntries(arena, () => 0);
    const entries = keys.map((key) => arena.add(key));
    const began = process.cpuUsage().user;
    for (let i = 0; i < count; i++) sorted.insert(entries[i]!, keys[i]!);
    leastUs = Math.min(leastUs, (process.cpuUsage().user - began) / count);
  }
  console.log(name, leastUs.toFixed(2), 'us an insertion');
}
