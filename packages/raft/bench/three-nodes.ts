/**
 * What the core itself costs: three nodes in one process, no disk, no network, no codec.
 *
 *     node --conditions=@quorate/source packages/raft/bench/three-nodes.ts [batch] [entries]
 *
 * A leader is given batches; every node persists and applies at once. Counted is CPU time of the whole process, all
 * three nodes together, divided by entries committed: proposal, append, both followers, acknowledgements, commit.
 */
import { EMPTY_CONF, MemoryStorage, type Message, RawNode } from '@quorate/raft';

const batch = Number(process.argv[2] ?? 64);
const total = Number(process.argv[3] ?? 640_000);
const data = new Uint8Array(256);

const ids = [1n, 2n, 3n];
const storages = new Map(ids.map((id) => [id, new MemoryStorage({ ...EMPTY_CONF, voters: ids })]));
const nodes = new Map(
  ids.map((id) => [id, new RawNode({ id, storage: storages.get(id)!, random: () => Number(id) })]),
);
let applied = 0;

/** Until nothing moves: performs every `Ready` and delivers every message. */
function run(): void {
  let network: Message[] = [];
  do {
    const delivered = network;
    network = [];
    for (const message of delivered) nodes.get(message.to)!.step(message);
    for (const [id, node] of nodes) {
      const storage = storages.get(id)!;
      while (node.hasReady()) {
        const ready = node.ready();
        network.push(...ready.messages);
        if (ready.hardState !== null) storage.setHardState(ready.hardState);
        storage.append(ready.entries);
        network.push(...ready.messagesAfterPersist);
        node.persisted(ready.sequence);
        const last = ready.committedEntries.at(-1);
        if (last === undefined) continue;
        if (id === 1n) applied += ready.committedEntries.length;
        for (const entry of ready.committedEntries) if (entry.type !== 0) node.applyConfChange(entry);
        node.applied(last.index);
      }
    }
  } while (network.length > 0);
}

/** Keeps the storages small, as a host that takes snapshots would. */
function compact(): void {
  for (const storage of storages.values()) {
    const index = storage.lastIndex() - 1;
    const conf = { ...EMPTY_CONF, voters: ids };
    storage.saveSnapshot({ meta: { index, term: storage.term(index), conf }, data: new Uint8Array(0) });
    storage.compact(index);
  }
}

function measure(entries: number): number {
  applied = 0;
  let cpuMicros = 0;
  while (applied < entries) {
    const before = process.cpuUsage();
    for (let round = 0; round < 100; round += 1) {
      for (let count = 0; count < batch; count += 1) nodes.get(1n)!.propose(data);
      run();
    }
    const used = process.cpuUsage(before);
    cpuMicros += used.user + used.system;
    compact();
  }
  return cpuMicros / applied;
}

nodes.get(1n)!.campaign();
run();
measure(total / 4);
const perEntry = measure(total);
console.log(
  `batch ${batch}: ${perEntry.toFixed(2)} us CPU an entry (${total} entries, 3 nodes, 256 bytes each)`,
);
