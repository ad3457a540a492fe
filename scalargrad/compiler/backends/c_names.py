"""Names that a C function cannot have, in C or in C++: words, and names of libraries."""

from __future__ import annotations

import re

# C99, C11, C23 and C++23, with what compilers add unasked.
KEYWORDS = """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t class co_await
    co_return co_yield compl concept const const_cast consteval constexpr constinit continue decltype default delete do
    double dynamic_cast else enum explicit export extern false float for fortran friend goto if inline int linux long
    main mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public register
    reinterpret_cast requires restrict return short signed sizeof static static_assert static_cast std struct switch
    template this thread_local throw true try typedef typeid typename typeof typeof_unqual union unix unsigned using
    virtual void volatile wchar_t while xor xor_eq
"""

# Functions of math.h, which have forms for other types: sinf, sinl, sinf128.
MATH = """
    acos acosh acospi asin asinh asinpi atan atan2 atan2pi atanh atanpi canonicalize cbrt ceil compoundn copysign cos
    cosh cospi dadd ddiv dfma dmul drem dsqrt dsub erf erfc exp exp10 exp10m1 exp2 exp2m1 expm1 fabs fadd fdim fdiv ffma
    finite floor fma fmax fmaximum fmaximum_mag fmaximum_mag_num fmaximum_num fmaxmag fmin fminimum fminimum_mag
    fminimum_mag_num fminimum_num fminmag fmod fmul fpclassify frexp fromfp fromfpx fsqrt fsub gamma getpayload hypot
    ilogb iscanonical iseqsig isfinite isgreater isgreaterequal isinf isless islessequal islessgreater isnan isnormal
    issignaling issubnormal isunordered iszero j0 j1 jn ldexp lgamma llogb llrint llround log log10 log10p1 log1p log2
    log2p1 logb logp1 lrint lround modf nan nearbyint nextafter nextdown nexttoward nextup pow pow10 pown powr remainder
    remquo rint rootn round roundeven rsqrt scalb scalbln scalbn setpayload setpayloadsig signbit significand sin sincos
    sinh sinpi sqrt tan tanh tanpi tgamma totalorder totalordermag trunc ufromfp ufromfpx y0 y1 yn
    cabs cacos cacosh carg casin casinh catan catanh ccos ccosh cexp cexp10 cimag clog clog10 clog2 conj cpow cproj
    creal csin csinh csqrt ctan ctanh
"""

# Functions of the rest of the standard library, which every program is linked with; what math.h brings along in C++;
# and what compilers know as functions of Unix.
LIBRARY = """
    a64l abort abs aligned_alloc alloca asctime assert at_quick_exit atexit atof atoi atol atoll bcmp bcopy bsearch
    bzero calloc clearenv clearerr clock ctime dcgettext dgettext difftime div drand48 ecvt erand48 errno execl execle
    execlp execv execve execvp exit fclose fcvt feof ferror fflush ffs ffsl ffsll fgetc fgetpos fgets fopen fork fprintf
    fputc fputs fread free freopen fscanf fseek fsetpos ftell fwrite gcvt getc getchar getenv getloadavg getpt gets
    getsubopt gettext gmtime grantpt imaxabs imaxdiv index initstate isalnum isalpha isascii isblank iscntrl isdigit
    isgraph islower isprint ispunct isspace isupper isxdigit jrand48 l64a labs lcong48 ldiv llabs lldiv localeconv
    localtime longjmp lrand48 malloc math_errhandling mblen mbstowcs mbtowc memccpy memchr memcmp memcpy memmove mempcpy
    memset mktime mrand48 nrand48 on_exit perror pselect printf ptsname putc putchar putenv puts qecvt qfcvt qgcvt qsort
    quick_exit raise rand random realloc reallocarray realpath remove rename rewind rindex rpmatch scanf seed48 select
    setbuf setenv setjmp setlocale setstate setvbuf signal signgam snprintf sprintf srand srand48 srandom sscanf stpcpy
    stpncpy strcasecmp strcat strchr strcmp strcoll strcpy strcspn strdup strerror strfmon strfromd strfromf strfroml
    strftime strlen strncasecmp strncat strncmp strncpy strndup strnlen strpbrk strrchr strspn strstr strtod strtof
    strtok strtol strtold strtoll strtoq strtoul strtoull strtouq strxfrm system time timespec_get tmpfile tmpnam
    toascii tolower toupper ungetc unlockpt unsetenv valloc vfprintf vfscanf vprintf vscanf vsnprintf vsprintf vsscanf
    wcstombs wctomb
    secure_getenv canonicalize_file_name arc4random arc4random_buf arc4random_uniform
    fd_mask fd_set u_char u_int u_long u_short uint ulong ushort
    BIG_ENDIAN BYTE_ORDER INFINITY LITTLE_ENDIAN MAXFLOAT MB_CUR_MAX NAN NFDBITS NULL PDP_ENDIAN RAND_MAX
"""
PATTERNS = re.compile(
    r"(?:M|FP|FD|EXIT|MATH|HUGE_VAL|SNAN)_\w+|(?:HUGE_VAL|SNAN)\w*|W(?:IF|STOP|TERM|EXIT|CONT|NO|UNTR)[A-Z]+"
    r"|(?:be|le)\d+toh|hto[bl]e\d+|mk[ods]*temps?(?:64)?|posix_\w+|\w+_unlocked"
    r"|(?:is|to)w(?:alnum|alpha|blank|cntrl|ctype|digit|graph|lower|print|punct|space|upper|xdigit|ctrans)"
    r"|f\d+x?(?:add|sub|mul|div|fma|sqrt)f\d+x?|str(?:from|to)f\d+x?"
    r"|(?:rand|random|[dejlmn]rand48|srand48|seed48|lcong48|initstate|setstate|srandom|qsort|ptsname|q?[ef]cvt)_r"
    r"|strto\w+_l"
)
HEADERS = """
    assert complex ctype errno features fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg
    stdatomic stdbit stdbool stdckdint stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar
    wctype
"""
_KEYWORDS, _LIBRARY, _HEADERS = (frozenset(names.split()) for names in (KEYWORDS, LIBRARY, HEADERS))
_FORMS = re.compile(rf"(?:{'|'.join(MATH.split())})(?:l|f|f\d+x?)?(?:_r)?")


def fault(name: str) -> str:
    """Why a function cannot have that name; "" if it can."""
    if not name.isidentifier() or not name.isascii():
        return "is not a name in C"
    if name in _KEYWORDS:
        return "is a word of C or C++"
    if name.startswith("_") or "__" in name or name.endswith("_t"):
        return "is reserved in C or C++ (names with _ in front, with two of it inside, or with _t at the end)"
    if name in _LIBRARY or _FORMS.fullmatch(name) or PATTERNS.fullmatch(name):
        return "is a name of math.h, or of the C library that comes with it"
    if name in _HEADERS:
        return f"would give a file {name}.h, which is a header of the C library"
    return ""


def check(name: str) -> None:
    """Raise `ValueError` for a name that a C function cannot have."""
    why = fault(name)
    if why:
        other = re.sub(r"\W+|__+", "_", name.lower(), flags=re.ASCII).strip("_")
        raise ValueError(f"to_c: {name!r} {why}; call it {(other if other[:1].isalpha() else 'f') + '_value'!r}, say")
