/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "names/closer.h"

#include <stdbool.h>
#include <string.h>

static const char *const destructors[] = {
    "PyObject_CallFinalizerFromDealloc",
    "PyObject_CallFinalizer",
    "PyObject_ClearWeakRefs",
    "_PyGen_Finalize",
    "subtype_dealloc",
    "slot_tp_finalize",
    "slot_tp_del",
};
static const char *const collectors[] = {
    "PyGC_Collect",
    "_PyGC_Collect",
    "_PyGC_CollectNoFail",
    "_PyGC_CollectIfEnabled",
    "_Py_RunGC",
    "gc_collect",
    "gc_collect_main",
    "gc_collect_generations",
    "gc_collect_with_callback",
    "gc_collect_impl",
    "gc_collect_internal",
    "collect_generations",
    "_PyObject_GC_New",
    "_PyObject_GC_NewVar",
    "_PyObject_GC_Malloc",
    "_PyObject_GC_Link",
};
static const char *const finalizers[] = {
    "Py_FinalizeEx",     "Py_Finalize",      "_Py_Finalize",     "Py_Exit",
    "Py_EndInterpreter", "finalize_modules", "atexit_callfuncs", "_PyAtExit_Call",
    "perl_destruct",
};
/* Only in the C library and its loader: other programs may use such names for other things. */
static const char *const exits[] = {"exit", "__run_exit_handlers", "_dl_fini", "quick_exit"};

static bool is_in(const char *name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i], name) == 0)
            return true;
    return false;
}

static bool is_c_library(const char *module)
{
    static const char *const names[] = {"libc.so", "libc-2", "ld-linux", "ld-2", "ld64.so"};
    const char *slash = module ? strrchr(module, '/') : NULL, *base = slash ? slash + 1 : module;
    for (size_t i = 0; base && i < sizeof(names) / sizeof(names[0]); i++)
        if (strncmp(base, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

#define IS_IN(name, list) is_in(name, list, sizeof(list) / sizeof((list)[0]))

enum sign closer_native_sign(const char *function, const char *module, enum python_role role)
{
    if (role == PYTHON_ROLE_FINALIZER)
        return SIGN_EXIT;
    if (function && (IS_IN(function, finalizers) || (IS_IN(function, exits) && is_c_library(module))))
        return SIGN_EXIT;
    if (role == PYTHON_ROLE_COLLECTOR || (function && IS_IN(function, collectors)))
        return SIGN_COLLECTOR;
    if (role == PYTHON_ROLE_DESTRUCTOR || (function && IS_IN(function, destructors)))
        return SIGN_DESTRUCTOR;
    return SIGN_NONE;
}

enum sign closer_python_sign(const char *function)
{
    const char *dot = function ? strrchr(function, '.') : NULL;
    const char *last = dot ? dot + 1 : function;
    if (!last)
        return SIGN_NONE;
    if (strcmp(function, "finalize._exitfunc") == 0) /* of weakref: runs what is left at exit */
        return SIGN_EXIT;
    return strcmp(last, "__del__") == 0 ? SIGN_DESTRUCTOR : SIGN_NONE;
}
