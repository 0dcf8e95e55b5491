/** A clock that only goes forward, in milliseconds: it times syncs and decides nothing about what the log holds. */
export const monotonicMs = (): number => performance.now();
