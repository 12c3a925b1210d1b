#include "plan.hpp"

#include "../lm/failure.hpp"

#include <quant/io/gguf/encode.hpp>

#include <algorithm>
#include <regex>
#include <string_view>
#include <unordered_set>

namespace quantizer {
namespace {

using lm::failure;
using lm::text_of;

constexpr std::string_view keep_name = "keep";

/// The standard library compiles expressions by recursion; longer ones might exhaust the stack.
constexpr std::size_t longest_expression = 4096;

std::regex regex_of(const std::string& text, std::string_view option) {
    if (text.size() > longest_expression) {
        throw failure(option, ": a regular expression of ", text.size(), " bytes; at most ",
                      longest_expression);
    }
    try {
        return std::regex(text);
    } catch (const std::regex_error&) {
        throw failure(option, ": \"", text, "\" is no regular expression");
    }
}

/// Null for "keep".
const scheme_entry* scheme_of(std::string_view name, std::string_view option, bool packed) {
    if (name == keep_name) return nullptr;
    const scheme_entry* const found = find_scheme(name);
    if (found != nullptr && !packed && !found->type) {
        throw failure(option, ": ", name, " is no type of GGUF's; it is for --packed files");
    }
    if (found != nullptr) return found;
    std::string known;
    for (const scheme_entry& one : all_schemes()) known += text_of(" ", one.name);
    throw failure(option, ": unknown scheme \"", name, "\"; there are: ", keep_name, known);
}

struct rule {
    std::regex names;
    const scheme_entry* scheme;

    rule(const std::string& text, bool packed) {
        const std::size_t equals = text.rfind('=');
        if (equals == text.npos) {
            throw failure("--rule: \"", text, "\" is not of the form REGEX=SCHEME");
        }
        names = regex_of(text.substr(0, equals), "--rule");
        scheme = scheme_of(std::string_view(text).substr(equals + 1), "--rule", packed);
    }
};

bool matches(std::string_view name, const std::regex& names) {
    return std::regex_search(name.begin(), name.end(), names);
}

class planner {
public:
    planner(const source& from, const settings& given)
        : scheme_(scheme_of(given.scheme, "--scheme", given.packed)), fallback_(given.fallback),
          packed_(given.packed) {
        for (const std::string& each : given.rules) rules_.emplace_back(each, given.packed);
        for (const std::string& each : given.keep) keep_.push_back(regex_of(each, "--keep"));
        for (const source_tensor& each : from.tensors) names_.insert(each.name);
    }

    [[nodiscard]] planned_tensor operator()(const source_tensor& tensor) const {
        const auto kept = [&](std::string why) {
            return planned_tensor{&tensor, nullptr, std::move(why)};
        };
        if (std::ranges::any_of(keep_,
                                [&](const auto& one) { return matches(tensor.name, one); })) {
            return kept("--keep");
        }
        if (!tensor.is_matrix()) return kept("one dimension");
        if (tensor.is_integer()) return kept("integers");
        if (has_scale_tensor(tensor)) return kept("has a tensor of scales");
        const scheme_entry* const scheme = wanted(tensor.name);
        if (scheme == nullptr) return kept("as asked for");
        return in_blocks(tensor, *scheme);
    }

private:
    [[nodiscard]] const scheme_entry* wanted(std::string_view name) const {
        const auto found =
            std::ranges::find_if(rules_, [&](const rule& one) { return matches(name, one.names); });
        return found != rules_.end() ? found->scheme : scheme_;
    }

    /// "NAME.scale", also for "NAME.weight".
    [[nodiscard]] bool has_scale_tensor(const source_tensor& tensor) const {
        if (tensor.type != quant::gguf::type::nvfp4) return false;
        constexpr std::string_view ending = ".weight";
        std::string_view stem = tensor.name;
        if (names_.contains(text_of(stem, ".scale"))) return true;
        if (!stem.ends_with(ending)) return false;
        stem.remove_suffix(ending.size());
        return names_.contains(text_of(stem, ".scale"));
    }

    /// The scheme, or its fallback, or none.
    [[nodiscard]] planned_tensor in_blocks(const source_tensor& tensor,
                                           const scheme_entry& scheme) const {
        const auto fits = [&](const scheme_entry& one) {
            return tensor.cols() % quant::gguf::block_size(one.type.value()) == 0;
        };
        const auto planned = [&](const scheme_entry& one, std::string note) {
            if (one.type != tensor.type) return planned_tensor{&tensor, &one, std::move(note)};
            note += note.empty() ? "" : "; ";
            return planned_tensor{&tensor, nullptr, note + "is of this type already"};
        };
        if (packed_ && scheme.pack && scheme.type != tensor.type) {
            return {&tensor, &scheme, "", true};
        }
        if (fits(scheme)) return planned(scheme, "");
        std::string why =
            text_of("rows of ", tensor.cols(), " are no blocks of ",
                    quant::gguf::block_size(scheme.type.value()), " (", scheme.name, ")");
        const scheme_entry* const fallback = fallback_ ? find_scheme(scheme.fallback) : nullptr;
        if (fallback != nullptr && fits(*fallback)) return planned(*fallback, std::move(why));
        return {&tensor, nullptr, std::move(why)};
    }

    /// Names are looked up by text that is put together.
    struct any_text : std::hash<std::string_view> {
        using is_transparent = void;
    };

    std::vector<rule> rules_;
    std::vector<std::regex> keep_;
    const scheme_entry* scheme_;
    bool fallback_;
    bool packed_;
    std::unordered_set<std::string_view, any_text, std::equal_to<>> names_;
};

} // namespace

std::size_t planned_tensor::bytes() const {
    if (to == nullptr) return from->data.size();
    if (packed) return to->pack->bytes(from->rows(), from->cols());
    return quant::gguf::encoded_bytes(type(), from->rows(), from->cols());
}

std::vector<planned_tensor> plan(const source& from, const settings& given) {
    const planner decide(from, given);
    std::vector<planned_tensor> made;
    made.reserve(from.tensors.size());
    for (const source_tensor& each : from.tensors) made.push_back(decide(each));
    return made;
}

} // namespace quantizer
