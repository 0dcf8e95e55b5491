/**
 * Which intervals hold a key: a treap ordered by interval start, where each node also knows the furthest end below it.
 *
 * Strings here are bytes as latin1 text, one character a byte, so that `<` is unsigned byte order. Intervals are
 * half-open `[low, high)`; `high` null reaches to the end of the key space. A query skips every subtree whose
 * furthest end is not beyond the key, which makes it O(log n + hits) for the prefixes that watches use.
 *
 *            [c,k) max k             stab("e"): root holds it; left: max is d, not beyond e: skipped;
 *           /           \            right: [d,f) holds it, then its right child starts after e: done.
 *      [a,d) max d    [d,f) max j
 *                         \
 *                       [h,j) max j
 *
 * Priorities are drawn by the owner's randomness: a client that picks intervals cannot aim at a deep tree.
 */

export interface Interval {
  readonly low: string;
  readonly high: string | null;
}

interface Node<T extends Interval> {
  readonly item: T;
  readonly priority: number;
  left: Node<T> | null;
  right: Node<T> | null;
  /** Furthest end in this subtree; null: one of them is endless. */
  furthest: string | null;
}

export class IntervalTree<T extends Interval> {
  readonly #randomInt: (bound: number) => number;
  #root: Node<T> | null = null;
  #size = 0;

  constructor(randomInt: (bound: number) => number) {
    this.#randomInt = randomInt;
  }

  get size(): number {
    return this.#size;
  }

  /** Adds an interval that is not there yet (no other item has the same low and high). */
  add(item: T): void {
    const node: Node<T> = {
      item,
      priority: this.#randomInt(2 ** 30),
      left: null,
      right: null,
      furthest: item.high,
    };
    this.#root = insert(this.#root, node);
    this.#size += 1;
  }

  /** Removes an interval that is there. */
  delete(item: T): void {
    this.#root = remove(this.#root, item);
    this.#size -= 1;
  }

  /** Appends every interval that holds `key` to `hits`. */
  stab(key: string, hits: T[]): void {
    let node = this.#root;
    // The right spine is a loop and the left branches recurse: the depth is that of the tree, about 2 log2 n.
    while (node !== null) {
      if (node.furthest !== null && node.furthest <= key) return;
      if (node.left !== null) stabFrom(node.left, key, hits);
      if (node.item.low > key) return;
      if (node.item.high === null || key < node.item.high) hits.push(node.item);
      node = node.right;
    }
  }
}

function stabFrom<T extends Interval>(node: Node<T>, key: string, hits: T[]): void {
  if (node.furthest !== null && node.furthest <= key) return;
  if (node.left !== null) stabFrom(node.left, key, hits);
  if (node.item.low > key) return;
  if (node.item.high === null || key < node.item.high) hits.push(node.item);
  if (node.right !== null) stabFrom(node.right, key, hits);
}

/** Order by start, then by end, the endless one last. */
function before(one: Interval, other: Interval): boolean {
  if (one.low !== other.low) return one.low < other.low;
  if (one.high === null) return false;
  return other.high === null || one.high < other.high;
}

function further(one: string | null, other: string | null): string | null {
  if (one === null || other === null) return null;
  return one > other ? one : other;
}

function refresh<T extends Interval>(node: Node<T>): Node<T> {
  let furthest = node.item.high;
  if (node.left !== null) furthest = further(furthest, node.left.furthest);
  if (node.right !== null) furthest = further(furthest, node.right.furthest);
  node.furthest = furthest;
  return node;
}

function insert<T extends Interval>(tree: Node<T> | null, node: Node<T>): Node<T> {
  if (tree === null) return node;
  if (node.priority > tree.priority) {
    [node.left, node.right] = split(tree, node.item);
    return refresh(node);
  }
  if (before(node.item, tree.item)) tree.left = insert(tree.left, node);
  else tree.right = insert(tree.right, node);
  return refresh(tree);
}

/** Cuts a tree in two: intervals before `item`, and the others. */
function split<T extends Interval>(tree: Node<T> | null, item: T): [Node<T> | null, Node<T> | null] {
  if (tree === null) return [null, null];
  if (before(tree.item, item)) {
    const [low, high] = split(tree.right, item);
    tree.right = low;
    return [refresh(tree), high];
  }
  const [low, high] = split(tree.left, item);
  tree.left = high;
  return [low, refresh(tree)];
}

function remove<T extends Interval>(tree: Node<T> | null, item: T): Node<T> | null {
  if (tree === null) throw new Error('an interval to remove is in the tree');
  if (tree.item === item) return join(tree.left, tree.right);
  if (before(item, tree.item)) tree.left = remove(tree.left, item);
  else tree.right = remove(tree.right, item);
  return refresh(tree);
}

/** Joins two trees, every interval of `low` being before every one of `high`. */
function join<T extends Interval>(low: Node<T> | null, high: Node<T> | null): Node<T> | null {
  if (low === null) return high;
  if (high === null) return low;
  if (low.priority > high.priority) {
    low.right = join(low.right, high);
    return refresh(low);
  }
  high.left = join(low, high.left);
  return refresh(high);
}
