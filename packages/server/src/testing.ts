/**
 * `@quorate/server/testing`: for those who run members in a world of their own making. No promise of stability.
 *
 * `startMember` takes a `World` (simulated clock, disk, network) and makers of its parts; `createServices` gives the handlers that a
 * transport would call.
 */
export { createServices, type Services } from './api/services.ts';
export { createLessor } from './lease/create-lessor.ts';
export type { Lessor } from './lease/lessor.ts';
export { memberIdOf } from './membership/ids.ts';
export { type LessorFactory, type PartMakers, startMember } from './start-member.ts';
