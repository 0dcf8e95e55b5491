/** The socket as a connection sees it. The real one is `node/socket-wire.ts`; tests drive a connection through arrays. */
export interface Wire {
  /**
   * Takes the chunks in order; they must not change until `isEmpty`.
   * @returns false when the socket wants us to wait for `Connection.drained`
   */
  write(chunks: Buffer[]): boolean;
  /** Everything written has left this process: nobody will look at its chunks again. False where nobody can tell. */
  readonly isEmpty: boolean;
  /** Ends the connection once everything written has left. */
  end(): void;
  /** Ends the connection at once. */
  destroy(): void;
}
