/**
 * Appends that bring a commit index and nothing else.
 *
 * A leader tells its followers what is committed as soon as it is, and with callers that wait for one answer each that is an
 * append without entries for every one with. What it names is durable here and was acknowledged already, so an acknowledgement
 * of it would say nothing, yet cost both sides a message and a turn: it asks for none. Refusals are sent all the same, and
 * who asks for a position (after a loss, or to probe) does not set this.
 */

/** `Message.context` of such an append. A follower that does not know it answers, which does no harm. */
export const NO_ANSWER = 1n;
