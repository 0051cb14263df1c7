/* Preloaded into a node whose servers tell it of each other's addresses: sends its connections to
 * ports of 127.0.0.1 by way of its own proxies. CHAOS_ROUTES is "port:proxy,port:proxy,...". */
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int route_of(int port)
{
    const char *at = getenv("CHAOS_ROUTES");

    while (at != NULL && *at != '\0') {
        char *colon, *end;
        long from = strtol(at, &colon, 10);
        long to = *colon == ':' ? strtol(colon + 1, &end, 10) : 0;
        if (to == 0)
            return port;
        if (from == port)
            return (int)to;
        at = *end == ',' ? end + 1 : end;
    }
    return port;
}

__attribute__((visibility("default"))) int connect(int descriptor, const struct sockaddr *address,
                                                   socklen_t size)
{
    int (*real)(int, const struct sockaddr *, socklen_t) =
        (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "connect");
    struct sockaddr_in other;

    if (address->sa_family != AF_INET || size < sizeof other)
        return real(descriptor, address, size);
    memcpy(&other, address, sizeof other);
    if (ntohl(other.sin_addr.s_addr) == INADDR_LOOPBACK)
        other.sin_port = htons((uint16_t)route_of(ntohs(other.sin_port)));
    return real(descriptor, (const struct sockaddr *)&other, sizeof other);
}
