# The property QUANT_NO_THREADS of targets that use quant::quant: they are compiled without threads and
# not linked with a library for them. Targets made after this take it from the variable of that name.
define_property(TARGET PROPERTY QUANT_NO_THREADS
    BRIEF_DOCS "Use quant without threads"
    FULL_DOCS "Defines QUANT_NO_THREADS, and leaves the threads library out of the link."
    INITIALIZE_FROM_VARIABLE QUANT_NO_THREADS)

set(quant_without_threads $<BOOL:$<TARGET_PROPERTY:QUANT_NO_THREADS>>)
