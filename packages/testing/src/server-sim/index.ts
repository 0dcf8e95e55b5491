/** `@quorate/testing/server-sim`: lifetimes of clusters of whole members under virtual time. Begin with `simulation.ts`. */
export { type CampaignResult, reportFailure, runCampaign } from './campaign.ts';
export { SERVER_MUTANTS, type ServerMutant } from './mutants.ts';
export { type Mutations, SOUND } from './mutations.ts';
export { describePlan, drawPlan, FAULT_KINDS, type Fault, type Plan, type TimedFault } from './plan.ts';
export { shrinkPlan } from './shrink.ts';
export { type RunOptions, type RunResult, runPlan } from './simulation.ts';
