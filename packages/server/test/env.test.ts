import { setTimeout as sleep } from 'node:timers/promises';
import { SimEnv } from '@quorate/testing';
import { describe } from 'vitest';
import type { Env } from '../src/env.ts';
import { nodeEnv } from '../src/node/env.ts';
import { envContract } from './env.contract.ts';

describe('the real world', () =>
  envContract(() => ({ env: nodeEnv({ log() {} }), pass: async (ms) => void (await sleep(ms + 5)) })));

describe('the simulated world', () =>
  envContract(() => {
    const env = new SimEnv(1);
    return { env: env as unknown as Env, pass: async (ms) => env.advance(ms) };
  }));
