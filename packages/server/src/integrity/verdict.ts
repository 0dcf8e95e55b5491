/**
 * Who is wrong when members' hashes differ.
 *
 * Those that agree and are a quorum of the cluster are right, and the others that answered are odd. Where no such group exists nobody can
 * tell: member 0 stands for that in the alarm (sem-187). So an alarm never names the majority, whoever leads.
 */

/** The alarm's member when nobody can tell who is wrong. */
export const NOBODY_KNOWS = 0n;

/**
 * @param hashes by member, made at one revision and one compact revision; who did not answer is absent
 * @param memberCount all members of the cluster, those that did not answer too
 * @returns those to raise the alarm for; none when all agree
 */
export function oddOnes(hashes: ReadonlyMap<bigint, number>, memberCount: number): readonly bigint[] {
  const groups = new Map<number, bigint[]>();
  for (const [id, hash] of hashes) {
    const group = groups.get(hash);
    if (group === undefined) groups.set(hash, [id]);
    else group.push(id);
  }
  if (groups.size <= 1) return [];
  const quorum = Math.floor(memberCount / 2) + 1;
  const right = [...groups.values()].find((group) => group.length >= quorum);
  if (right === undefined) return [NOBODY_KNOWS];
  return [...hashes.keys()].filter((id) => !right.includes(id));
}
