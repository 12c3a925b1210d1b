#include "unicode.hpp"

#include <algorithm>
#include <iterator>

namespace lm {
namespace {

struct range {
    char32_t first;
    char32_t last;
    character kind;
};

using enum character;

/// Ascending; what lies between the ranges are letters.
constexpr range not_letters[] = {
    {0x00, 0x08, other},        {0x09, 0x0D, space},      {0x0E, 0x1F, other},
    {0x20, 0x20, space},        {0x21, 0x2F, other},      {0x30, 0x39, number},
    {0x3A, 0x40, other},        {0x5B, 0x60, other},      {0x7B, 0x84, other},
    {0x85, 0x85, space},        {0x86, 0x9F, other},      {0xA0, 0xA0, space},
    {0xA1, 0xA9, other},        {0xAB, 0xB1, other},      {0xB2, 0xB3, number},
    {0xB4, 0xB4, other},        {0xB6, 0xB8, other},      {0xB9, 0xB9, number},
    {0xBB, 0xBB, other},        {0xBC, 0xBE, number},     {0xBF, 0xBF, other},
    {0xD7, 0xD7, other},        {0xF7, 0xF7, other},      {0x02C2, 0x02C5, other},
    {0x0300, 0x036F, other},    {0x0483, 0x0489, other},  {0x0591, 0x05C7, other},
    {0x0600, 0x061F, other},    {0x064B, 0x065F, other},  {0x0660, 0x0669, number},
    {0x06F0, 0x06F9, number},   {0x0966, 0x096F, number}, {0x09E6, 0x09EF, number},
    {0x0E50, 0x0E59, number},   {0x1680, 0x1680, space},  {0x2000, 0x200A, space},
    {0x200B, 0x2027, other},    {0x2028, 0x2029, space},  {0x202A, 0x202E, other},
    {0x202F, 0x202F, space},    {0x2030, 0x205E, other},  {0x205F, 0x205F, space},
    {0x2060, 0x206F, other},    {0x2070, 0x2070, number}, {0x2074, 0x2079, number},
    {0x207A, 0x207E, other},    {0x2080, 0x2089, number}, {0x208A, 0x208E, other},
    {0x20A0, 0x20FF, other},    {0x2100, 0x2101, other},  {0x2103, 0x2106, other},
    {0x2116, 0x2118, other},    {0x211E, 0x2123, other},  {0x2150, 0x2182, number},
    {0x2185, 0x2189, number},   {0x218A, 0x245F, other},  {0x2460, 0x249B, number},
    {0x249C, 0x24E9, other},    {0x24EA, 0x24FF, number}, {0x2500, 0x2775, other},
    {0x2776, 0x2793, number},   {0x2794, 0x2BFF, other},  {0x2E00, 0x2E7F, other},
    {0x3000, 0x3000, space},    {0x3001, 0x3004, other},  {0x3007, 0x3007, number},
    {0x3008, 0x3020, other},    {0x3021, 0x3029, number}, {0x302A, 0x3030, other},
    {0x303D, 0x303F, other},    {0x30FB, 0x30FB, other},  {0xD800, 0xF8FF, other},
    {0xFE00, 0xFE6F, other},    {0xFEFF, 0xFEFF, other},  {0xFF01, 0xFF0F, other},
    {0xFF10, 0xFF19, number},   {0xFF1A, 0xFF20, other},  {0xFF3B, 0xFF40, other},
    {0xFF5B, 0xFF65, other},    {0xFFE0, 0xFFFF, other},  {0x1F000, 0x1FAFF, other},
    {0xE0000, 0x10FFFF, other},
};

[[nodiscard]] unsigned char byte_at(std::string_view text, std::size_t at) noexcept {
    return static_cast<unsigned char>(text[at]);
}

} // namespace

code_point decode_utf8(std::string_view text, std::size_t at) noexcept {
    const unsigned char lead = byte_at(text, at);
    const std::size_t size = lead < 0x80              ? 1
                             : (lead & 0xE0u) == 0xC0 ? 2
                             : (lead & 0xF0u) == 0xE0 ? 3
                             : (lead & 0xF8u) == 0xF0 ? 4
                                                      : 1;
    if (size == 1 || at + size > text.size()) return {lead, 1};
    char32_t value = lead & (0xFFu >> (size + 1));
    for (std::size_t i = 1; i < size; ++i) {
        const unsigned char byte = byte_at(text, at + i);
        if ((byte & 0xC0u) != 0x80) return {lead, 1};
        value = value << 6 | (byte & 0x3Fu);
    }
    return {value, size};
}

void append_utf8(std::string& text, char32_t value) {
    const auto append = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
    if (value < 0x80) {
        append(value);
    } else if (value < 0x800) {
        append(0xC0 | value >> 6);
        append(0x80 | (value & 0x3F));
    } else if (value < 0x10000) {
        append(0xE0 | value >> 12);
        append(0x80 | (value >> 6 & 0x3F));
        append(0x80 | (value & 0x3F));
    } else {
        append(0xF0 | value >> 18);
        append(0x80 | (value >> 12 & 0x3F));
        append(0x80 | (value >> 6 & 0x3F));
        append(0x80 | (value & 0x3F));
    }
}

character kind_of(char32_t value) noexcept {
    const range* const found =
        std::lower_bound(std::begin(not_letters), std::end(not_letters), value,
                         [](const range& one, char32_t sought) { return one.last < sought; });
    return found != std::end(not_letters) && found->first <= value ? found->kind : letter;
}

} // namespace lm
