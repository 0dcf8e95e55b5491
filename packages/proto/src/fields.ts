/** One field of a message as data: what generic code (JSON in both directions) needs to know. */
export interface FieldInfo {
  /** Field number on the wire. */
  readonly number: number;
  /** As in the proto file: `cluster_id`. */
  readonly name: string;
  /** As in our objects, and in proto3's JSON: `clusterId`. */
  readonly property: string;
  readonly kind: 'scalar' | 'enum' | 'message';
  /** Scalar type (`int64`, `bytes`, ...), or the full name of the enum or message. */
  readonly type: string;
  readonly label: 'single' | 'repeated' | 'map';
  /** The oneof it belongs to. */
  readonly oneof: string | null;
}
