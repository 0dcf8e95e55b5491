"""A generic client without any proto file: it learns the API by reflection, and calls it. Usage: reflection.py HOST:PORT"""
import sys
import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


def fields(data):
    """Length-delimited fields of a message, as (number, bytes); others are passed over."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 2:
            length, at = varint(data, at)
            yield tag >> 3, data[at : at + length]
            at += length
        else:
            _, at = varint(data, at)


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def first(data, number):
    return next(value for field, value in fields(data) if field == number)


channel = grpc.insecure_channel(sys.argv[1])
raw = dict(request_serializer=lambda data: data, response_deserializer=lambda data: data)


def reflect(version, field, text):
    path = f'/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo'
    request = bytes([field << 3 | 2, len(text)]) + text.encode()
    return next(channel.stream_stream(path, **raw)(iter([request]), timeout=20))


for version in ('v1', 'v1alpha'):
    names = [first(one, 1).decode() for number, one in fields(first(reflect(version, 7, '*'), 6)) if number == 1]
    print(version, 'etcdserverpb.KV' in names, 'v3lockpb.Lock' in names)

pool = descriptor_pool.DescriptorPool()
pending = [
    descriptor_pb2.FileDescriptorProto.FromString(one)
    for _, one in fields(first(reflect('v1', 4, 'etcdserverpb.KV.Range'), 4))
]
known = set()
while pending:
    ready = [file for file in pending if all(name in known for name in file.dependency)]
    for file in ready:
        pool.Add(file)
        known.add(file.name)
        pending.remove(file)

service = pool.FindServiceByName('etcdserverpb.KV')


def build(descriptor):
    if hasattr(message_factory, 'GetMessageClass'):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)


def invoke(name, **values):
    method = service.FindMethodByName(name)
    answer = channel.unary_unary(f'/{service.full_name}/{name}', **raw)(
        build(method.input_type)(**values).SerializeToString(), timeout=20
    )
    return build(method.output_type).FromString(answer)


invoke('Put', key=b'by-reflection', value=b'found')
print(invoke('Range', key=b'by-reflection').kvs[0].value.decode())
