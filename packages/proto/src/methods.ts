/** Look-ups over the generated table of calls. */
import { services } from './gen/services.ts';
import type { MethodDescriptor } from './service.ts';

/** Every call, in the order of the proto files. */
export const methods: readonly MethodDescriptor<unknown, unknown>[] = Object.values(services).flatMap(
  (service) => Object.values(service) as MethodDescriptor<unknown, unknown>[],
);
