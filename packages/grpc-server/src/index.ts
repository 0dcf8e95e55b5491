export {
  type CallContext,
  type Handler,
  type HandlerTable,
  type Metadata,
  Status,
  type StreamCall,
  type StreamHandler,
  type StreamListener,
  type UnaryCall,
  type UnaryHandler,
} from './handler.ts';
