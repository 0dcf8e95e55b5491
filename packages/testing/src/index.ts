export {
  findProgram,
  freePorts,
  processUsage,
  type ServerOptions,
  type ServerProcess,
  startEtcd,
  startQuorate,
} from './process/server-process.ts';
export { SimEnv, type SimLogLine } from './sim/env.ts';
export { Random } from './sim/random.ts';
