/* scripts.h -- the Lua files, which the Makefile turns into scripts.c. */
#ifndef SCRIPTS_H
#define SCRIPTS_H

/* NAME is that by which they require each other; NULL ends them. */
struct script {
    const char *name, *text;
};

extern const struct script scripts[];

#endif
