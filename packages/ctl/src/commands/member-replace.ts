/**
 * member replace: puts a new member in the place of one that is dead for good.
 *
 *   1  look      the member must not answer (unless --force), and the other voters must be enough for a quorum without it
 *   2  remove    the dead member
 *   3  add       the new one as a learner: it gets the data, and has no vote
 *   4  wait      for somebody to start it, and for it to catch up
 *   5  promote   it to a voter
 *
 * Why remove first: a dead voter counts in the quorum and cannot help to reach it. Of three members with one dead, a quorum
 * of two needs both that are left; of the two that remain after the removal, it needs both as well. Nothing gets
 * worse, and every later step is decided by members that answer. The other way round, the cluster would have four voters with one
 * dead when the new one is promoted, and one mistake in its URLs would end the quorum for good. (A cluster also refuses to
 * add members while one is unhealthy.) A learner cannot do that harm: if step 4 fails, the cluster works on
 * without it, and `member promote` or `member remove` finishes by hand.
 */
import { ClientError } from '@quorate/client';
import type * as wire from '@quorate/proto';
import { services } from '@quorate/proto';
import type { Run } from '../command.ts';
import type { Context } from '../context.ts';
import { badArgs, CommandError, callErrorText, ExitCode } from '../exit.ts';
import { hex } from '../go-values.ts';
import { interruption } from '../interrupt.ts';
import { listMembers, peerUrls, startEnvironment } from './member-change.ts';

const { MemberAdd, MemberRemove, MemberPromote } = services['etcdserverpb.Cluster'];
const { Status } = services['etcdserverpb.Maintenance'];

const PROBE_MS = 5_000;
const PROMOTE_PAUSE_MS = 1_000;
const SETTLE_MS = 20_000;
const SETTLE_PAUSE_MS = 500;

export const replace: Run = async (context, { args, flags }) => {
  const [word] = args;
  if (word === undefined || args.length !== 1)
    throw badArgs('member replace takes one name or ID of a member');
  const peerURLs = peerUrls(flags.string('peer-urls'));
  const say = (text: string): void => context.io.stdout(`${text}\n`);
  const members = await listMembers(context);
  const target = find(members, word);
  const name = flags.string('name') || target.name;
  if (name === '') throw badArgs('the member has no name yet: give one with --name');
  const others = await refuseIfUnsafe(context, members, target, flags.bool('force'));
  const client = await context.client(others);

  await client.call(MemberRemove, { ID: target.ID }, 'write');
  say(`Removed member ${hex(target.ID)} (${target.name})`);
  const added = await addWhenHealthy(client, peerURLs).catch((error: unknown) => {
    throw new CommandError(
      ExitCode.ERROR,
      `the old member is removed, but the new one could not be added (${callErrorText(error)}): ` +
        `try 'quoratectl member add ${name} --learner --peer-urls=${peerURLs.join(',')}'`,
      { cause: error },
    );
  });
  const id = added.member?.ID ?? 0n;
  say(`Added member ${hex(id)} as learner. Start it now, with an empty data folder and:`);
  say('');
  say(startEnvironment(name, id, peerURLs, added.members));
  await promoteWhenReady(context, client, id, flags.durationMs('wait'));
  say(`Promoted member ${hex(id)}: the replacement is done`);
};

/** A cluster adds nobody until its members have been in touch for five seconds without a break. */
async function addWhenHealthy(
  client: Awaited<ReturnType<Context['client']>>,
  peerURLs: readonly string[],
): Promise<wire.MemberAddResponse> {
  const untilMs = performance.now() + SETTLE_MS;
  for (;;) {
    try {
      return await client.call(MemberAdd, { peerURLs: [...peerURLs], isLearner: true }, 'write');
    } catch (error) {
      const settles = error instanceof ClientError && error.code === 'UNHEALTHY_CLUSTER';
      if (!settles || performance.now() > untilMs) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, SETTLE_PAUSE_MS));
  }
}

function find(members: readonly wire.Member[], word: string): wire.Member {
  const found = members.filter((member) => member.name === word || hex(member.ID) === word);
  const [only] = found;
  if (only === undefined) throw badArgs(`no member has the name or ID ${JSON.stringify(word)}`);
  if (found.length > 1) throw badArgs(`several members are called ${JSON.stringify(word)}: give the ID`);
  return only;
}

/** @returns client URLs of the members that answer */
async function refuseIfUnsafe(
  context: Context,
  members: readonly wire.Member[],
  target: wire.Member,
  force: boolean,
): Promise<string[]> {
  const answers = await Promise.all(members.map((member) => isHealthy(context, member)));
  const answering = members.filter((_, index) => answers[index]);
  if (answering.includes(target) && !force) {
    throw new CommandError(
      ExitCode.ERROR,
      `member ${hex(target.ID)} (${target.name}) answers: it is not dead. With --force it is replaced all the same`,
    );
  }
  const voters = members.filter((member) => member !== target && !member.isLearner);
  const alive = voters.filter((member) => answering.includes(member));
  const quorum = Math.floor(voters.length / 2) + 1;
  if (voters.length === 0) throw new CommandError(ExitCode.ERROR, 'the only voter cannot be replaced');
  if (alive.length < quorum) {
    throw new CommandError(
      ExitCode.ERROR,
      `only ${alive.length} of the ${voters.length} other voters answer, and ${quorum} are needed: nothing was changed`,
    );
  }
  return alive.flatMap((member) => member.clientURLs);
}

/** Answers, and knows a leader. */
async function isHealthy(context: Context, member: wire.Member): Promise<boolean> {
  if (member.clientURLs.length === 0) return false;
  try {
    const client = await context.client(member.clientURLs);
    const status = await client.call(Status, {}, 'read', { timeoutMs: PROBE_MS });
    return status.leader !== 0n && status.header?.memberId === member.ID;
  } catch (error) {
    if (error instanceof ClientError) return false;
    throw error;
  }
}

async function promoteWhenReady(
  context: Context,
  client: Awaited<ReturnType<Context['client']>>,
  id: bigint,
  waitMs: number,
): Promise<void> {
  const interrupt = interruption(context);
  const untilMs = performance.now() + waitMs;
  try {
    for (;;) {
      try {
        await client.call(MemberPromote, { ID: id }, 'write');
        return;
      } catch (error) {
        const waits = error instanceof ClientError && !FINAL.has(error.code);
        if (!waits) throw error;
        if (interrupt.signal.aborted || performance.now() + PROMOTE_PAUSE_MS > untilMs) {
          throw new CommandError(
            ExitCode.ERROR,
            `the new member has not caught up yet (${callErrorText(error)}): it stays a learner; ` +
              `later run 'quoratectl member promote ${hex(id)}'`,
            { cause: error },
          );
        }
      }
      await pause(PROMOTE_PAUSE_MS, interrupt.signal);
    }
  } finally {
    interrupt.stop();
  }
}

/** What waiting does not change. */
const FINAL: ReadonlySet<string> = new Set([
  'MEMBER_NOT_FOUND',
  'MEMBER_NOT_LEARNER',
  'PERMISSION_DENIED',
  'CLOSED',
]);

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
