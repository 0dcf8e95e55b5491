/** A member on the real disk and its services, in a folder of its own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServices, type Services } from '../../src/api/services.ts';
import type { Logger } from '../../src/env.ts';
import { createLessor } from '../../src/lease/create-lessor.ts';
import type { Member } from '../../src/member.ts';
import { DEFAULT_MEMBER_CONFIG, type MemberConfig, type World } from '../../src/member-config.ts';
import { nodeWorld } from '../../src/node/world.ts';
import { startMember } from '../../src/start-member.ts';

export interface RunningMember {
  readonly member: Member;
  readonly services: Services;
  stop(): Promise<void>;
}

const SILENT: Logger = { log() {} };

/** @param change what the world of this member has that the real one has not */
export async function runMember(
  config: Partial<MemberConfig> = {},
  change: (world: World) => World = (world) => world,
): Promise<RunningMember> {
  const folder = mkdtempSync(join(tmpdir(), 'quorate-services-'));
  const member = await startMember(
    {
      ...DEFAULT_MEMBER_CONFIG,
      name: 'm1',
      dataDirectory: join(folder, 'data'),
      initialCluster: [{ name: 'm1', peerUrls: ['http://127.0.0.1:2380'] }],
      clientUrls: ['http://127.0.0.1:2379'],
      ...config,
    },
    change(nodeWorld(SILENT)),
    createLessor,
  );
  const services = createServices(member);
  return {
    member,
    services,
    async stop() {
      services.close();
      await member.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
