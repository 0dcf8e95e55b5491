/**
 * What must hold after every command of every scenario (thesis figure 3.2), seen from outside of the nodes.
 */
import type { ScenarioNode } from './node.ts';

export class Checks {
  /** Who led in each term. */
  readonly #leaders = new Map<number, bigint>();
  /** Term of each index ever committed. */
  readonly #committed = new Map<number, number>();
  readonly #commit = new Map<bigint, number>();
  readonly #terms = new Map<bigint, number>();

  /** @throws Error naming the property that broke */
  after(nodes: readonly ScenarioNode[]): void {
    for (const node of nodes) if (node.running) this.#one(node);
    for (const a of nodes) for (const b of nodes) if (a.id < b.id) this.#logMatching(a, b);
    this.#stateMachines(nodes);
  }

  /** A restart may forget how far the log is committed, but not the term. */
  restarted(node: ScenarioNode): void {
    this.#commit.delete(node.id);
  }

  #one(node: ScenarioNode): void {
    const { role, hardState, persistedIndex } = node.raw.status();
    if (role === 'leader') {
      const known = this.#leaders.get(hardState.term) ?? node.id;
      if (known !== node.id)
        throw new Error(`election safety: ${known} and ${node.id} lead term ${hardState.term}`);
      this.#leaders.set(hardState.term, node.id);
    }
    if (hardState.commit < (this.#commit.get(node.id) ?? 0))
      throw new Error(`commit index of ${node.id} fell`);
    this.#commit.set(node.id, hardState.commit);
    if (node.durable.term < (this.#terms.get(node.id) ?? 0)) throw new Error(`term of ${node.id} fell`);
    this.#terms.set(node.id, node.durable.term);
    // A follower may know of a commit before its own disk has the entry.
    const known = Math.min(hardState.commit, persistedIndex);
    const first = node.storage.firstIndex();
    for (let index = first; index <= known; index += 1) {
      const term = node.storage.term(index);
      const before = this.#committed.get(index) ?? term;
      if (before !== term) throw new Error(`committed entry ${index} changed from term ${before} to ${term}`);
      this.#committed.set(index, term);
    }
  }

  #logMatching(a: ScenarioNode, b: ScenarioNode): void {
    const left = a.durableTerms();
    const right = b.durableTerms();
    let same = false;
    for (let position = Math.min(left.length, right.length) - 1; position >= 0; position -= 1) {
      if (left[position] === null || right[position] === null) return;
      if (left[position] === right[position]) same = true;
      else if (same) throw new Error(`log matching: ${a.id} and ${b.id} differ at ${position + 1}`);
    }
  }

  #stateMachines(nodes: readonly ScenarioNode[]): void {
    for (const a of nodes) {
      for (const b of nodes) {
        const count = Math.min(a.applied.length, b.applied.length);
        for (let position = 0; position < count; position += 1) {
          if (a.applied[position] !== b.applied[position]) {
            throw new Error(`state-machine safety: ${a.id} and ${b.id} differ at entry ${position}`);
          }
        }
      }
    }
  }
}
