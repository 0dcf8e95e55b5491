/** Revisions with a flag, in many small maps: one large map would stall when it grows. */
export class RevisionSet {
  readonly #maps: Map<number | string, boolean>[] = [];

  add(main: number, sub: number, later: boolean): void {
    this.#maps[main & 63] ??= new Map();
    this.#maps[main & 63]!.set(revisionName(main, sub), later);
  }

  get(main: number, sub: number): boolean | undefined {
    return this.#maps[main & 63]?.get(revisionName(main, sub));
  }
}

function revisionName(main: number, sub: number): number | string {
  return main < 2 ** 40 && sub < 2 ** 12 ? main * 2 ** 12 + sub : `${main}.${sub}`;
}
