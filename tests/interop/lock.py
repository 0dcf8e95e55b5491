"""python3-etcd3's lock: several clients count up a number without a transaction. Usage: lock.py HOST PORT"""
import sys
import threading
import etcd3

host, port = sys.argv[1], int(sys.argv[2])
CLIENTS, ROUNDS = 4, 5


def tried(lock):
    """Debian's package does not fit Debian's tenacity: waiting for a lock that is taken ends in a TypeError, on etcd too."""
    try:
        return lock.acquire()
    except TypeError:
        return False


def work():
    client = etcd3.client(host=host, port=port)
    for _ in range(ROUNDS):
        lock = client.lock('counter', ttl=20)
        while not tried(lock):
            pass
        assert lock.is_acquired()
        value, _ = client.get('python/count')
        client.put('python/count', str(int(value) + 1))
        assert lock.release()


etcd3.client(host=host, port=port).put('python/count', '0')
threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(etcd3.client(host=host, port=port).get('python/count')[0].decode())
