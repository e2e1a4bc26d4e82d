/* Notes, beside each file that is synced, how much of it was: what a power cut would leave. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void note(int fd, off_t size) {
    char link[64], path[4096], out[8192], text[32];
    const char *folder = getenv("HOMING_SYNCED");
    ssize_t length;
    int file;
    if (!folder) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return;
    path[length] = 0;
    snprintf(out, sizeof out, "%s/%s", folder, strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
    file = open(out, O_WRONLY | O_CREAT, 0644);
    if (file < 0) return;
    length = snprintf(text, sizeof text, "%020lld", (long long)size);
    /* Of fixed width and without a truncation before it, so that a kill leaves the old size or the new. */
    if (write(file, text, length) != length) _exit(99);
    close(file);
}

static int tracked(int fd, const char *name) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    struct stat before;
    /* Only what had been written when the call began is surely on the disk when it ends. */
    int known = fstat(fd, &before) == 0 && S_ISREG(before.st_mode);
    int result = real(fd);
    if (result == 0 && known) note(fd, before.st_size);
    return result;
}

int fsync(int fd) { return tracked(fd, "fsync"); }
int fdatasync(int fd) { return tracked(fd, "fdatasync"); }
