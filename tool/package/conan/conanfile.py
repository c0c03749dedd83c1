"""Conan recipe of this very tree: `conan create tool/package/conan`."""

import os

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy
from conan.tools.gnu import PkgConfigDeps


class HakmemConan(ConanFile):
    name = "hakmem"
    version = "0.1.0"
    license = "MIT"
    description = "malloc that keeps nothing in user memory"
    topics = ("malloc", "allocator")
    settings = "os", "arch", "compiler", "build_type"
    package_type = "library"

    def export_sources(self):
        root = os.path.join(self.recipe_folder, "..", "..", "..")
        for pattern in ("CMakeLists.txt", "LICENSE", "region/*", "segment/*", "front/*", "compat/*",
                        "include/*", "tool/*", "bench/*", "test/CMakeLists.txt"):
            copy(self, pattern, src=root, dst=self.export_sources_folder)

    def validate(self):
        if self.settings.os != "Linux":
            raise ConanInvalidConfiguration("hakmem is for Linux with glibc")

    def requirements(self):
        self.requires("xxhash/[>=0.8]", visible=False)
        self.requires("zlib/[>=1.2.11]", visible=False)
        self.requires("elfutils/[>=0.186]", visible=False)

    def layout(self):
        cmake_layout(self)

    def generate(self):
        CMakeDeps(self).generate()
        PkgConfigDeps(self).generate()
        CMakeToolchain(self).generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        CMake(self).install()

    def package_info(self):
        self.cpp_info.set_property("cmake_find_mode", "none")  # the installed config file serves
        self.cpp_info.builddirs.append(os.path.join("lib", "cmake", "hakmem"))
