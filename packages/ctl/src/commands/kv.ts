/** get, put, del and compaction. */
import { setTimeout as sleep } from 'node:timers/promises';
import { RangeResponse, services } from '@quorate/proto';
import type { Run } from '../command.ts';
import { badArgs, CommandError, ExitCode } from '../exit.ts';
import { parseInt64, quote } from '../go-values.ts';
import { deleteReport, putReport, rangeReport } from '../output/kv.ts';
import { readAll } from '../stdin.ts';
import { deleteRequest, getRequest, putRequest } from './kv-requests.ts';

const KV = services['etcdserverpb.KV'];
/** How long a range deletion without `--range` can still be interrupted. */
const SECOND_THOUGHTS_MS = 2000;

export const get: Run = async (context, { args, flags }) => {
  const request = getRequest(args, flags);
  const writeOut = context.globals.string('write-out');
  if (flags.bool('count-only') && writeOut !== 'fields')
    throw badArgs('--count-only is only for `--write-out=fields`');
  const valueOnly = flags.bool('print-value-only');
  if (valueOnly && writeOut !== 'simple') throw badArgs('print-value-only is only for `--write-out=simple`');
  const client = await context.client();
  if (!flags.bool('stream')) {
    context.print(rangeReport(await client.call(KV.Range, request, 'read'), valueOnly));
    return;
  }
  const whole = RangeResponse.empty();
  for await (const { rangeResponse } of client.stream(KV.RangeStream, request)) {
    if (!rangeResponse) continue;
    for (const kv of rangeResponse.kvs) whole.kvs.push(kv);
    whole.header = rangeResponse.header ?? whole.header;
    whole.more = rangeResponse.more;
    whole.count = rangeResponse.count;
  }
  context.print(rangeReport(whole, valueOnly));
};

export const put: Run = async (context, { args, flags }) => {
  const request = await putRequest(args, flags, () => readAll(context.io.stdin));
  const client = await context.client();
  context.print(putReport(await client.call(KV.Put, request, 'write')));
};

export const del: Run = async (context, { args, flags }) => {
  const request = deleteRequest(args, flags);
  if (args.length > 1 && !flags.bool('range')) {
    const [from, to] = [quote(args[0] ?? ''), quote(args[1] ?? '')];
    context.io.stderr(
      `Warning: Keys between ${from} and ${to} will be deleted. Please interrupt the command within next 2 seconds to cancel. You can provide \`--range\` flag to avoid the warning.\n`,
    );
    await sleep(SECOND_THOUGHTS_MS);
  }
  const client = await context.client();
  context.print(deleteReport(await client.call(KV.DeleteRange, request, 'write')));
};

export const compaction: Run = async (context, { args, flags }) => {
  const [word] = args;
  if (word === undefined || args.length !== 1) throw badArgs('compaction command needs 1 argument');
  let revision: bigint;
  try {
    revision = parseInt64(word);
  } catch (error) {
    throw new CommandError(ExitCode.ERROR, (error as Error).message);
  }
  const physical = flags.bool('physical');
  const client = await context.client();
  // Waiting for the removal takes as long as it takes.
  const timeoutMs = physical ? Number.POSITIVE_INFINITY : context.timeoutMs;
  await client.call(KV.Compact, { revision, physical }, 'write', { timeoutMs });
  context.io.stdout(`compacted revision ${revision}\n`);
};
