/** Failpoints of the log's writer thread, which imports this module: the same variables, counted in that thread. */
import { failpointsFrom } from '../failpoints.ts';
import { processActions } from './failpoint-actions.ts';

export default failpointsFrom(process.env, processActions);
