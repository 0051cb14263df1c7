/* Links a program with the in-process broker. */
#include <metafora/driver.h>

const mf_driver *const mf_linked_driver = &mf_embedded_driver;
