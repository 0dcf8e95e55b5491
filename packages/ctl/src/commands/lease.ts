/** lease grant, revoke, timetolive, list, keep-alive. */
import { ClientError } from '@quorate/client';
import * as wire from '@quorate/proto';
import { type LeaseKeepAliveResponse, services } from '@quorate/proto';
import type { Run } from '../command.ts';
import { badArgs, CommandError, callErrorText, ExitCode } from '../exit.ts';
import { hex, parseInt64 } from '../go-values.ts';
import * as fields from '../output/fields.ts';
import { type Json, messageToJson } from '../output/json.ts';
import { join, type Report } from '../output/report.ts';

const Lease = services['etcdserverpb.Lease'];
/** These commands have no time limit of their own. */
const NO_LIMIT = { timeoutMs: Number.POSITIVE_INFINITY };

export const grant: Run = async (context, { args }) => {
  const [word] = args;
  if (word === undefined || args.length !== 1) throw badArgs('lease grant command needs TTL argument');
  let ttl: bigint;
  try {
    ttl = parseInt64(word);
  } catch (error) {
    throw badArgs(`bad TTL (${(error as Error).message})`);
  }
  const client = await context.client();
  const response = await client
    .call(Lease.LeaseGrant, { TTL: ttl }, 'write')
    .catch((error: unknown) =>
      fail(ExitCode.ERROR, `failed to grant lease (${callErrorText(error)})`, error),
    );
  context.print({
    simple: () => [`lease ${hex(response.ID, 16)} granted with TTL(${response.TTL}s)\n`],
    json: () => ({ ...headerJson(response), ID: response.ID, TTL: response.TTL, Error: response.error }),
    fields: () =>
      fields.header(response.header) + fields.field('ID', response.ID) + fields.field('TTL', response.TTL),
    protobuf: () => wire.LeaseGrantResponse.encode(response),
  });
};

export const revoke: Run = async (context, { args }) => {
  if (args.length !== 1) throw badArgs('lease revoke command needs 1 argument');
  const id = leaseId(args[0]);
  const client = await context.client();
  const response = await client
    .call(Lease.LeaseRevoke, { ID: id }, 'write')
    .catch((error: unknown) =>
      fail(ExitCode.ERROR, `failed to revoke lease (${callErrorText(error)})`, error),
    );
  context.print({
    simple: () => [`lease ${hex(id, 16)} revoked\n`],
    json: () => messageToJson(wire.LeaseRevokeResponse.typeName, response),
    fields: () => fields.header(response.header),
    protobuf: () => wire.LeaseRevokeResponse.encode(response),
  });
};

export const timeToLive: Run = async (context, { args, flags }) => {
  if (args.length !== 1) throw badArgs('lease timetolive command needs lease ID as argument');
  const request = { ID: leaseId(args[0]), keys: flags.bool('keys') };
  const client = await context.client();
  const response = await client
    .call(Lease.LeaseTimeToLive, request, 'read', NO_LIMIT)
    .catch((error: unknown) => fail(ExitCode.BAD_CONNECTION, callErrorText(error), error));
  const { TTL, grantedTTL, keys } = response;
  const id = hex(request.ID, 16);
  context.print({
    simple: () => {
      if (grantedTTL === 0n && TTL === -1n) return [`lease ${id} already expired\n`];
      const attached = keys.flatMap((key, i) => (i === 0 ? [key] : [' ', key]));
      const tail = request.keys ? [', attached keys([', join(attached), '])'] : [];
      return [`lease ${id} granted with TTL(${grantedTTL}s), remaining(${TTL}s)`, ...tail, '\n'];
    },
    json: () => ({
      ...headerJson(response),
      id: request.ID,
      ttl: TTL,
      'granted-ttl': grantedTTL,
      keys: keys.length === 0 ? null : keys,
    }),
    fields: () =>
      fields.header(response.header) +
      fields.field('ID', request.ID) +
      fields.field('TTL', TTL) +
      fields.field('GrantedTTL', grantedTTL) +
      keys.map((key) => fields.text('Key', key)).join(''),
    protobuf: () => wire.LeaseTimeToLiveResponse.encode(response),
  });
};

export const list: Run = async (context) => {
  const client = await context.client();
  const response = await client
    .call(Lease.LeaseLeases, {}, 'read', NO_LIMIT)
    .catch((error: unknown) => fail(ExitCode.BAD_CONNECTION, callErrorText(error), error));
  const ids = response.leases.map((lease) => lease.ID);
  context.print({
    simple: () => [`found ${ids.length} leases\n`, ...ids.map((id) => `${hex(id, 16)}\n`)],
    json: () => ({ ...headerJson(response), leases: ids.map((id) => ({ id })) }),
    fields: () => fields.header(response.header) + ids.map((id) => fields.field('ID', id)).join(''),
    protobuf: () => wire.LeaseLeasesResponse.encode(response),
  });
};

export const keepAlive: Run = async (context, { args, flags }) => {
  if (args.length !== 1) throw badArgs('lease keep-alive command needs lease ID as argument');
  const id = leaseId(args[0]);
  const client = await context.client();
  if (flags.bool('once')) {
    const renewal = await client.lease
      .keepAliveOnce(id)
      .catch((error: unknown) => fail(ExitCode.BAD_CONNECTION, callErrorText(error), error));
    context.print(keepAliveReport(id, renewal));
    return;
  }
  try {
    for await (const renewal of client.lease.keepAlive(id)) context.print(keepAliveReport(id, renewal));
  } catch (error) {
    // Gone, or not renewed in time: either way the lease is over. Anything else is an error.
    const over =
      error instanceof ClientError && ['LEASE_NOT_FOUND', 'DEADLINE_EXCEEDED'].includes(error.code);
    if (!over) return fail(ExitCode.BAD_CONNECTION, callErrorText(error), error);
  }
  context.io.stdout(`lease ${hex(id, 16)} expired or revoked.\n`);
};

function keepAliveReport(id: bigint, renewal: { header: LeaseHeader; ttlSec: number }): Report {
  const { clusterId, memberId, revision, raftTerm } = renewal.header;
  const response: LeaseKeepAliveResponse = {
    header: { clusterId, memberId, revision: BigInt(revision), raftTerm: BigInt(raftTerm) },
    ID: id,
    TTL: BigInt(renewal.ttlSec),
  };
  return {
    simple: () => [`lease ${hex(id, 16)} keepalived with TTL(${response.TTL})\n`],
    json: () => ({ ...headerJson(response), ID: id, TTL: response.TTL }),
    fields: () => fields.header(response.header) + fields.field('ID', id) + fields.field('TTL', response.TTL),
    protobuf: () => wire.LeaseKeepAliveResponse.encode(response),
  };
}

interface LeaseHeader {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly revision: number;
  readonly raftTerm: number;
}

/** Lease answers carry the header's fields beside their own. */
function headerJson(response: { header: wire.ResponseHeader | undefined }): { [name: string]: Json } {
  return response.header ? messageToJson(wire.ResponseHeader.typeName, response.header) : {};
}

function leaseId(word: string | undefined): bigint {
  try {
    return parseInt64(word ?? '', 16);
  } catch (error) {
    throw badArgs(`bad lease ID arg (${(error as Error).message}), expecting ID in Hex`);
  }
}

function fail(exitCode: number, message: string, cause: unknown): never {
  throw new CommandError(exitCode, message, { cause });
}
