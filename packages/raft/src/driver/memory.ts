/**
 * A log in memory for `RaftDriver`: for tests, examples and state that may be lost with the process.
 *
 * A node that restarts without its log may vote twice and breaks the promises of the protocol: give it a new id.
 */
import { MemoryStorage } from '../log/memory-storage.ts';
import type { Snapshot } from '../types.ts';
import type { DriverStorage, SaveStep } from './contracts.ts';

/** `MemoryStorage` that a driver can write. Nothing survives the process, so neither may the id of the node (thesis §3.8). */
export class MemoryDriverStorage extends MemoryStorage implements DriverStorage {
  save(step: SaveStep): void {
    if (step.snapshot !== null) this.installSnapshot(step.snapshot);
    this.append(step.entries);
    if (step.hardState !== null) this.setHardState(step.hardState);
  }

  keepSnapshot(snapshot: Snapshot, compactTo: number): void {
    this.saveSnapshot(snapshot);
    this.compact(compactTo);
  }
}
