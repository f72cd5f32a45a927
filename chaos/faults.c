/* Injects a fault at the n-th file operation of a process below its folder, or shifts its clock.
 *
 * Preloaded (LD_PRELOAD), so that it covers SQLite and writers in C++ and Rust as well as Python.
 * The child that runs a case calls `chaos_arm`; until then, and in other processes, it is inactive.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { NOTHING, KILL, FULL, BROKEN, READ_ONLY, CLOCK, MOST_FILES = 4096 }; /* as in __main__.py */

static int fault, armed;
static long at, jump; /* number of the operation; seconds */
static char root[4096];
static atomic_long calls;
static atomic_char ours[MOST_FILES]; /* descriptors opened for writing below the folder */

void chaos_arm(int kind, long number, long seconds, const char *folder) {
  fault = kind, at = number, jump = seconds, armed = 1;
  strncpy(root, folder, sizeof root - 1);
}

long chaos_calls(void) { return calls; }

static int below(const char *path) { /* the child runs in its folder: relative paths are in it */
  return armed && (path[0] != '/' || !strncmp(path, root, strlen(root)));
}

static int is_ours(int file) { return armed && file >= 0 && file < MOST_FILES && ours[file]; }

/* The errno for this operation, 0 for none; `grows` if it needs space on the disk. */
static int struck(int grows) {
  long number = ++calls;
  if (fault == KILL && number == at) kill(getpid(), SIGKILL);
  if (fault == FULL && number >= at && grows) return ENOSPC;
  if (fault == BROKEN && number == at) return EIO;
  return fault == READ_ONLY && number >= at ? EROFS : 0;
}

#define FAIL_IF(counts, grows) \
  if ((counts) && (errno = struck(grows))) return -1
#define REAL(type, name, types) type(*real) types = dlsym(RTLD_NEXT, #name)
#define CALL(name, types, names, counts, grows) \
  int name types { \
    FAIL_IF(counts, grows); \
    REAL(int, name, types); \
    return real names; \
  }
CALL(fsync, (int file), (file), is_ours(file), 0)
CALL(fdatasync, (int file), (file), is_ours(file), 0)
CALL(ftruncate, (int file, off_t size), (file, size), is_ours(file), 0)
CALL(ftruncate64, (int file, off64_t size), (file, size), is_ours(file), 0)
CALL(rename, (const char *from, const char *to), (from, to), below(to), 0)
CALL(unlink, (const char *path), (path), below(path), 0)
CALL(unlinkat, (int at, const char *path, int flags), (at, path, flags), below(path), 0)
CALL(rmdir, (const char *path), (path), below(path), 0)
CALL(mkdir, (const char *path, mode_t mode), (path, mode), below(path), 1)

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    va_list rest; \
    va_start(rest, flags); \
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0; \
    va_end(rest); \
    int counts = (flags & O_ACCMODE) != O_RDONLY && below(path); \
    FAIL_IF(counts, flags &O_CREAT); \
    REAL(int, name, (const char *, int, ...)); \
    int file = real(path, flags, mode); \
    if (file >= 0 && file < MOST_FILES) ours[file] = (char)counts; \
    return file; \
  }
OPEN(open)
OPEN(open64)

int close(int file) {
  if (file >= 0 && file < MOST_FILES) ours[file] = 0;
  REAL(int, close, (int));
  return real(file);
}

/* Half of a write succeeds before the disk is full, or before a kill in a long write. */
#define WRITE(name, types, names, half) \
  ssize_t name types { \
    int next = is_ours(file) && calls + 1 == at; \
    REAL(ssize_t, name, types); \
    if (next && (fault == FULL || fault == KILL) && size > (fault == KILL ? 4096 : 1)) { \
      ssize_t done = real half; \
      if (struck(0) == 0) return done; \
    } \
    FAIL_IF(is_ours(file), 1); \
    return real names; \
  }
WRITE(write, (int file, const void *data, size_t size), (file, data, size), (file, data, size / 2))
WRITE(pwrite64, (int file, const void *data, size_t size, off64_t to), (file, data, size, to),
      (file, data, size / 2, to))

static long offset(void) { return fault == CLOCK && calls >= at ? jump : 0; }

int clock_gettime(clockid_t clock, struct timespec *now) {
  REAL(int, clock_gettime, (clockid_t, struct timespec *));
  int done = real(clock, now);
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) now->tv_sec += offset();
  return done;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  REAL(int, gettimeofday, (struct timeval *, void *));
  int done = real(now, zone);
  now->tv_sec += offset();
  return done;
}
time_t time(time_t *into) {
  REAL(time_t, time, (time_t *));
  time_t now = real(NULL) + offset();
  return into ? *into = now : now;
}
