/* The version of the headers. Semantic versioning; before 1.0 a minor step may break. */
#ifndef METAFORA_VERSION_H
#define METAFORA_VERSION_H

#define MF_VERSION_MAJOR 0
#define MF_VERSION_MINOR 1
#define MF_VERSION_PATCH 0
#define MF_VERSION "0.1.0"

#endif
