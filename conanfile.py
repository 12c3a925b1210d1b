from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout

required_conan_version = ">=2.0"


class QuantConan(ConanFile):
    name = "quant"
    version = "0.1.0"
    package_type = "header-library"
    license = "Apache-2.0"
    description = "Header-only C++20 quantization of matrices and products with them"
    topics = ("quantization", "simd", "matrix-multiplication", "header-only")

    settings = "os", "compiler", "build_type", "arch"
    exports_sources = "CMakeLists.txt", "cmake/*", "include/*", "LICENSE", "NOTICE"
    no_copy_source = True
    test_package_folder = "tests/consumer/test_package"

    def layout(self):
        cmake_layout(self)

    def requirements(self):
        self.requires("xsimd/[>=13.2 <15]", transitive_headers=True)
        self.requires("nlohmann_json/[>=3.10 <4]", transitive_headers=True)

    def validate(self):
        check_min_cppstd(self, 20)

    def generate(self):
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["QUANT_BUILD_TESTS"] = False
        toolchain.cache_variables["QUANT_BUILD_EXAMPLES"] = False
        # Conan writes presets of its own; the project's presets stay out of it.
        toolchain.user_presets_path = False
        toolchain.generate()

    def package(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.install()

    def package_id(self):
        self.info.clear()

    def package_info(self):
        # The installed package configuration is used as it is, so that every way to get the
        # library gives the same targets and the same question about xsimd's version.
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = ["lib/cmake/quant"]
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
