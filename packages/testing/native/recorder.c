/*
 * Records what a process does to the files below one folder, by standing between it and libc (LD_PRELOAD).
 *
 *   QUORATE_RECORD_ROOT   absolute path; only files below it are recorded
 *   QUORATE_RECORD_LOG    where the records go (appended; must not be below the root)
 *   QUORATE_FAULT         optional: call:errno:nth[:path end], e.g. fdatasync:5:3:.wal makes the third such call fail
 *
 * A record is a fixed header, then the path (and, for renames, the second path), then the data. An operation is recorded when it
 * has returned, a sync both when it begins and when it has returned: only what was recorded before the begin is durable after the end.
 * Writes through a shared memory mapping are not seen. The format is read by recording.ts; numbers are in the machine's byte order.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN = 1, WRITE = 2, TRUNCATE = 3, SYNC_BEGIN = 4, SYNC_END = 5, RENAME = 6, REMOVE = 7, MAKE_FOLDER = 8, GROW = 9 };
#define FLAG_SYNCHRONOUS 1 /* a write through a descriptor opened with O_SYNC or O_DSYNC */
#define FLAG_TRUNCATED 2   /* opened with O_TRUNC */
#define FLAG_FOLDER 4

struct header {
  uint32_t magic;
  uint8_t kind, flags;
  uint16_t path_length, second_length, zero;
  uint32_t process;
  uint64_t inode;
  int64_t offset;
  uint64_t length; /* of the data that follows, for WRITE; else a file length */
};

#define MAGIC 0x43524551u
#define MAX_FD 65536
static struct { uint8_t tracked, synchronous, folder; uint64_t inode; } table[MAX_FD];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_length;
static int log_fd = -1;
static char fault_call[32], fault_end[128];
static int fault_errno, fault_left;

#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void start(void) {
  const char *folder = getenv("QUORATE_RECORD_ROOT"), *log = getenv("QUORATE_RECORD_LOG"), *fault = getenv("QUORATE_FAULT");
  if (fault) sscanf(fault, "%31[^:]:%d:%d:%127s", fault_call, &fault_errno, &fault_left, fault_end);
  if (!folder || strlen(folder) >= sizeof root) return;
  strcpy(root, folder);
  root_length = strlen(root);
  if (log) log_fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int below_root(const char *path) {
  return root_length && !strncmp(path, root, root_length) && (path[root_length] == '/' || path[root_length] == 0);
}

static void absolute(int folder, const char *path, char *out) {
  char base[PATH_MAX] = "", link[64];
  if (path[0] == '/') { snprintf(out, PATH_MAX, "%s", path); return; }
  if (folder == AT_FDCWD) { if (!getcwd(base, sizeof base)) base[0] = 0; }
  else {
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t n = readlink(link, base, sizeof base - 1);
    base[n > 0 ? n : 0] = 0;
  }
  if ((size_t)snprintf(out, PATH_MAX, "%.2000s/%.2000s", base, path) >= PATH_MAX) out[PATH_MAX - 1] = 0;
}

static void put(int kind, int flags, uint64_t inode, int64_t offset, uint64_t length, const char *path, const char *second,
                const struct iovec *data, int count) {
  if (log_fd < 0) return;
  int keep = errno;
  struct header h = {MAGIC, kind, flags, path ? strlen(path) : 0, second ? strlen(second) : 0, 0, getpid(), inode, offset, length};
  struct iovec head[3] = {{&h, sizeof h}, {(void *)path, h.path_length}, {(void *)second, h.second_length}};
  pthread_mutex_lock(&lock);
  syscall(SYS_writev, log_fd, head, 3);
  uint64_t left = kind == WRITE ? length : 0;
  for (int i = 0; i < count && left; i++) {
    size_t n = data[i].iov_len < left ? data[i].iov_len : left;
    const char *from = data[i].iov_base;
    left -= n;
    while (n) { ssize_t w = syscall(SYS_write, log_fd, from, n); if (w <= 0) _exit(97); from += w; n -= w; }
  }
  pthread_mutex_unlock(&lock);
  errno = keep;
}

static int tracked(int fd) { return fd >= 0 && fd < MAX_FD && table[fd].tracked; }

static int fails(const char *call, int fd, const char *path) {
  if (!fault_errno || strcmp(call, fault_call)) return 0;
  char link[64], target[PATH_MAX] = "";
  if (!path) {
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, target, sizeof target - 1);
    target[n > 0 ? n : 0] = 0;
    path = target;
  }
  size_t end = strlen(fault_end), have = strlen(path);
  if (!below_root(path) || have < end || strcmp(path + have - end, fault_end)) return 0;
  if (__atomic_sub_fetch(&fault_left, 1, __ATOMIC_SEQ_CST) != 0) return 0;
  errno = fault_errno;
  return 1;
}

static int opened(int fd, int folder, const char *path, int flags) {
  if (fd < 0 || fd >= MAX_FD) return fd;
  char full[PATH_MAX];
  absolute(folder, path, full);
  if (!below_root(full)) { table[fd].tracked = 0; return fd; }
  struct stat st;
  int keep = errno;
  if (fstat(fd, &st) == 0) {
    table[fd].inode = st.st_ino;
    table[fd].folder = S_ISDIR(st.st_mode);
    table[fd].synchronous = (flags & O_DSYNC) != 0;
    table[fd].tracked = S_ISREG(st.st_mode) || S_ISDIR(st.st_mode);
    if (table[fd].tracked)
      put(OPEN, (table[fd].folder ? FLAG_FOLDER : 0) | (flags & O_TRUNC ? FLAG_TRUNCATED : 0), st.st_ino, 0, st.st_size, full, NULL, NULL, 0);
  }
  errno = keep;
  return fd;
}

#define MODE_OF(flags, mode) \
  if (flags & (O_CREAT | O_TMPFILE)) { va_list args; va_start(args, flags); mode = va_arg(args, mode_t); va_end(args); }
int open(const char *path, int flags, ...) { mode_t mode = 0; MODE_OF(flags, mode) if (fails("open", -1, path)) return -1; return opened(REAL(open)(path, flags, mode), AT_FDCWD, path, flags); }
int open64(const char *path, int flags, ...) { mode_t mode = 0; MODE_OF(flags, mode) if (fails("open", -1, path)) return -1; return opened(REAL(open64)(path, flags, mode), AT_FDCWD, path, flags); }
int openat(int d, const char *path, int flags, ...) { mode_t mode = 0; MODE_OF(flags, mode) return opened(REAL(openat)(d, path, flags, mode), d, path, flags); }
int openat64(int d, const char *path, int flags, ...) { mode_t mode = 0; MODE_OF(flags, mode) return opened(REAL(openat64)(d, path, flags, mode), d, path, flags); }
int close(int fd) { if (fd == log_fd && fd >= 0) return 0; if (fd >= 0 && fd < MAX_FD) table[fd].tracked = 0; return REAL(close)(fd); }

static int copied(int from, int to) { if (to >= 0 && to < MAX_FD) { if (tracked(from)) table[to] = table[from]; else table[to].tracked = 0; } return to; }
int dup(int fd) { return copied(fd, REAL(dup)(fd)); }
int dup2(int fd, int to) { return copied(fd, REAL(dup2)(fd, to)); }
int dup3(int fd, int to, int flags) { return copied(fd, REAL(dup3)(fd, to, flags)); }

static ssize_t wrote(int fd, ssize_t n, int64_t offset, const struct iovec *data, int count) {
  if (n <= 0 || !tracked(fd)) return n;
  if (offset < 0) { int keep = errno; offset = lseek(fd, 0, SEEK_CUR) - n; errno = keep; }
  put(WRITE, table[fd].synchronous ? FLAG_SYNCHRONOUS : 0, table[fd].inode, offset, n, NULL, NULL, data, count);
  return n;
}
#define ONE(p, n) (&(struct iovec){(void *)p, n}), 1
ssize_t write(int fd, const void *p, size_t n) { if (tracked(fd) && fails("write", fd, NULL)) return -1; return wrote(fd, REAL(write)(fd, p, n), -1, ONE(p, n)); }
ssize_t writev(int fd, const struct iovec *v, int c) { if (tracked(fd) && fails("write", fd, NULL)) return -1; return wrote(fd, REAL(writev)(fd, v, c), -1, v, c); }
ssize_t pwrite(int fd, const void *p, size_t n, off_t o) { if (tracked(fd) && fails("write", fd, NULL)) return -1; return wrote(fd, REAL(pwrite)(fd, p, n, o), o, ONE(p, n)); }
ssize_t pwrite64(int fd, const void *p, size_t n, off64_t o) { if (tracked(fd) && fails("write", fd, NULL)) return -1; return wrote(fd, REAL(pwrite64)(fd, p, n, o), o, ONE(p, n)); }
ssize_t pwritev(int fd, const struct iovec *v, int c, off_t o) { if (tracked(fd) && fails("write", fd, NULL)) return -1; return wrote(fd, REAL(pwritev)(fd, v, c, o), o, v, c); }
ssize_t pwritev64(int fd, const struct iovec *v, int c, off64_t o) { if (tracked(fd) && fails("write", fd, NULL)) return -1; return wrote(fd, REAL(pwritev64)(fd, v, c, o), o, v, c); }

static int resized(int fd, int result, int kind, int64_t length) { if (result == 0 && tracked(fd)) put(kind, 0, table[fd].inode, 0, length, NULL, NULL, NULL, 0); return result; }
int ftruncate(int fd, off_t n) { if (tracked(fd) && fails("ftruncate", fd, NULL)) return -1; return resized(fd, REAL(ftruncate)(fd, n), TRUNCATE, n); }
int ftruncate64(int fd, off64_t n) { if (tracked(fd) && fails("ftruncate", fd, NULL)) return -1; return resized(fd, REAL(ftruncate64)(fd, n), TRUNCATE, n); }
int fallocate(int fd, int mode, off_t o, off_t n) { int r = REAL(fallocate)(fd, mode, o, n); return mode == 0 ? resized(fd, r, GROW, o + n) : r; }
int fallocate64(int fd, int mode, off64_t o, off64_t n) { int r = REAL(fallocate64)(fd, mode, o, n); return mode == 0 ? resized(fd, r, GROW, o + n) : r; }
int posix_fallocate(int fd, off_t o, off_t n) { return resized(fd, REAL(posix_fallocate)(fd, o, n), GROW, o + n); }
int posix_fallocate64(int fd, off64_t o, off64_t n) { return resized(fd, REAL(posix_fallocate64)(fd, o, n), GROW, o + n); }

static void sync_record(int kind, int fd) { if (tracked(fd)) put(kind, table[fd].folder ? FLAG_FOLDER : 0, table[fd].inode, 0, 0, NULL, NULL, NULL, 0); }
#define SYNC(name, call) \
  if (tracked(fd) && fails(#name, fd, NULL)) return -1; \
  sync_record(SYNC_BEGIN, fd); int r = call; if (r == 0) sync_record(SYNC_END, fd); return r;
int fsync(int fd) { SYNC(fsync, REAL(fsync)(fd)) }
int fdatasync(int fd) { SYNC(fdatasync, REAL(fdatasync)(fd)) }

static int renamed(int result, int da, const char *a, int db, const char *b) {
  char from[PATH_MAX], to[PATH_MAX];
  if (result != 0) return result;
  absolute(da, a, from); absolute(db, b, to);
  if (below_root(from) || below_root(to)) put(RENAME, 0, 0, 0, 0, from, to, NULL, 0);
  return result;
}
int rename(const char *a, const char *b) { if (fails("rename", -1, a)) return -1; return renamed(REAL(rename)(a, b), AT_FDCWD, a, AT_FDCWD, b); }
int renameat(int da, const char *a, int db, const char *b) { return renamed(REAL(renameat)(da, a, db, b), da, a, db, b); }
int renameat2(int da, const char *a, int db, const char *b, unsigned f) { return renamed(REAL(renameat2)(da, a, db, b, f), da, a, db, b); }

static int removed(int result, int d, const char *path) {
  char full[PATH_MAX];
  if (result != 0) return result;
  absolute(d, path, full);
  if (below_root(full)) put(REMOVE, 0, 0, 0, 0, full, NULL, NULL, 0);
  return result;
}
int unlink(const char *path) { return removed(REAL(unlink)(path), AT_FDCWD, path); }
int unlinkat(int d, const char *path, int flags) { return removed(REAL(unlinkat)(d, path, flags), d, path); }
int rmdir(const char *path) { return removed(REAL(rmdir)(path), AT_FDCWD, path); }
int remove(const char *path) { return removed(REAL(remove)(path), AT_FDCWD, path); }
int mkdir(const char *path, mode_t mode) {
  char full[PATH_MAX];
  int r = REAL(mkdir)(path, mode);
  absolute(AT_FDCWD, path, full);
  if (r == 0 && below_root(full)) put(MAKE_FOLDER, 0, 0, 0, 0, full, NULL, NULL, 0);
  return r;
}

