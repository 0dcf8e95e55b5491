/**
 * Linearizability by search (Wing and Gong 1993, with the state cache of Lowe 2017): the second opinion, and the only
 * one for operations that carry no revision.
 *
 * Calls and returns stand in one list by time. A call can be next in the order only when no other call has returned
 * before it began, so the search tries those that begin before the first return in the list; a call that fits is lifted
 * out with its return; at a return that does not fit it backs out. A pair (set of lifted calls, state) that failed
 * once fails always, and is not tried again.
 *
 * Unknown outcomes make the state a set of states: after such a call the register may or may not hold its value, and
 * both are carried on until an answer rules one out. Its return is at infinity.
 *
 * The search is exponential in the worst case: keep histories short (a few dozen calls). Past `maxSteps` it throws;
 * an undecided history is never a pass.
 */

export interface SearchModel<State, Operation> {
  readonly initial: State;
  /** The state after an operation with a known answer; null when the answer is not possible in this state. */
  apply(state: State, operation: Operation): State | null;
  /** All states in which an operation with an unknown outcome may leave it, the unchanged one included. */
  applyUnknown(state: State, operation: Operation): readonly State[];
  /** Equal text: equal states. */
  fingerprint(state: State): string;
}

export interface SearchOperation<Operation> {
  readonly operation: Operation;
  readonly callNs: number;
  /** Null: unknown outcome. */
  readonly returnNs: number | null;
}

interface Node {
  readonly id: number;
  /** Null: this is a return. */
  match: Node | null;
  previous: Node | null;
  next: Node | null;
}

export interface SearchResult {
  readonly linearizable: boolean;
  /** The longest order found: indexes into the operations. */
  readonly longest: readonly number[];
  readonly steps: number;
}

export function searchLinearization<State, Operation>(
  model: SearchModel<State, Operation>,
  operations: readonly SearchOperation<Operation>[],
  maxSteps = 1_000_000,
): SearchResult {
  const head = listOf(operations);
  const lifted = operations.map(() => false);
  const failed = new Set<string>();
  const stack: { node: Node; states: readonly State[] }[] = [];
  let states: readonly State[] = [model.initial];
  let longest: readonly number[] = [];
  let entry = head.next;
  let steps = 0;
  while (head.next !== null) {
    if (++steps > maxSteps) throw new Error(`undecided after ${maxSteps} steps: make the history shorter`);
    if (entry?.match) {
      const next = advance(model, states, operations[entry.id]!);
      if (next.length > 0) {
        lifted[entry.id] = true;
        const place = `${lifted.map(Number).join('')}|${next.map(model.fingerprint).sort().join('&')}`;
        if (!failed.has(place)) {
          failed.add(place);
          stack.push({ node: entry, states });
          if (stack.length > longest.length) longest = stack.map(({ node }) => node.id);
          states = next;
          lift(entry);
          entry = head.next;
          continue;
        }
        lifted[entry.id] = false;
      }
      entry = entry.next;
      continue;
    }
    // What never returns comes last: whoever gets there has explained all answers.
    if (entry === null || operations[entry.id]!.returnNs === null) break;
    // A return that no order has reached: back out of the latest choice.
    const choice = stack.pop();
    if (choice === undefined) return { linearizable: false, longest, steps };
    states = choice.states;
    lifted[choice.node.id] = false;
    unlift(choice.node);
    entry = choice.node.next;
  }
  return { linearizable: true, longest: stack.map(({ node }) => node.id), steps };
}

function advance<State, Operation>(
  model: SearchModel<State, Operation>,
  states: readonly State[],
  { operation, returnNs }: SearchOperation<Operation>,
): readonly State[] {
  const next = new Map<string, State>();
  for (const state of states) {
    const known = returnNs === null ? null : model.apply(state, operation);
    const all = returnNs === null ? model.applyUnknown(state, operation) : known === null ? [] : [known];
    for (const after of all) next.set(model.fingerprint(after), after);
  }
  return [...next.values()];
}

/** Calls and returns by time; where both fall on one moment the call comes first, so that they count as concurrent. */
function listOf<Operation>(operations: readonly SearchOperation<Operation>[]): Node {
  const moments = operations.flatMap(({ callNs, returnNs }, id) => {
    const end: Node = { id, match: null, previous: null, next: null };
    const begin: Node = { id, match: end, previous: null, next: null };
    return [
      { at: callNs, order: 0, node: begin },
      { at: returnNs ?? Number.POSITIVE_INFINITY, order: 1, node: end },
    ];
  });
  moments.sort((a, b) => (a.at === b.at ? a.order - b.order : a.at - b.at));
  const head: Node = { id: -1, match: null, previous: null, next: null };
  let last = head;
  for (const { node } of moments) {
    last.next = node;
    node.previous = last;
    last = node;
  }
  return head;
}

function lift(node: Node): void {
  unlink(node);
  unlink(node.match!);
}

/** In the opposite order of `lift`: each node still knows its neighbours of that moment. */
function unlift(node: Node): void {
  link(node.match!);
  link(node);
}

function unlink(node: Node): void {
  node.previous!.next = node.next;
  if (node.next !== null) node.next.previous = node.previous;
}

function link(node: Node): void {
  node.previous!.next = node;
  if (node.next !== null) node.next.previous = node;
}
