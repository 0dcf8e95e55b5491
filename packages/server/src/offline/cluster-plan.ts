/** Which cluster the members that are made from an image will form, and which of them this one is. */
import { parseUrls } from '../config/urls.ts';
import { ValueError } from '../config/values.ts';
import {
  BootstrapError,
  type InitialCluster,
  type InitialMember,
  initialCluster,
} from '../membership/bootstrap.ts';
import { checkAdvertised } from '../membership/peer-urls.ts';
import { firstAddress } from '../node/first-address.ts';
import { OfflineError } from './errors.ts';

export interface ClusterPlan {
  readonly name: string;
  /** Every member that starts from this image, this one included. */
  readonly initialCluster: readonly InitialMember[];
  readonly initialClusterToken: string;
  /** This member's own peer URLs: must be those it has in `initialCluster`. */
  readonly peerUrls: readonly string[];
}

/** `NAME=URL,NAME=URL`; a name may stand there several times, with an URL each. @throws OfflineError */
export function parseInitialCluster(text: string): InitialMember[] {
  const members = new Map<string, string[]>();
  for (const item of text.split(',')) {
    const at = item.indexOf('=');
    if (at < 1) throw new OfflineError('bad-flags', `--initial-cluster: "${item}" is not NAME=URL`);
    const name = item.slice(0, at).trim();
    members.set(name, [...(members.get(name) ?? []), checkedUrl('initial-cluster', item.slice(at + 1))]);
  }
  return [...members].map(([name, peerUrls]) => ({ name, peerUrls }));
}

/** @throws OfflineError */
export async function planCluster(plan: ClusterPlan): Promise<InitialCluster> {
  const advertised = plan.peerUrls.map((url) => checkedUrl('initial-advertise-peer-urls', url));
  const own = plan.initialCluster.find(({ name }) => name === plan.name);
  if (own === undefined)
    throw new OfflineError(
      'bad-flags',
      `couldn't find local name "${plan.name}" in the initial cluster configuration`,
    );
  try {
    await checkAdvertised(plan.name, own.peerUrls, advertised, firstAddress);
    return initialCluster(plan.name, plan.initialCluster, plan.initialClusterToken);
  } catch (error) {
    if (error instanceof BootstrapError) throw new OfflineError('bad-flags', error.message, { cause: error });
    throw error;
  }
}

function checkedUrl(flag: string, text: string): string {
  try {
    const [url] = parseUrls(text);
    if (url === undefined) throw new ValueError('an URL is missing');
    return url.text;
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw new OfflineError('bad-flags', `--${flag}: ${error.message}`, { cause: error });
  }
}
