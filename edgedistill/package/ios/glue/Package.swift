// swift-tools-version:5.9
import PackageDescription

let package = Package(
    name: "{{module}}",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [.library(name: "{{module}}", targets: ["{{module}}", "EdgeLogic"])],
    dependencies: [
        .package(
            url: "https://github.com/microsoft/onnxruntime-swift-package-manager", from: "1.20.0")
    ],
    targets: [
        .target(name: "EdgeLogic"),
        .target(
            name: "{{module}}",
            dependencies: [
                "EdgeLogic",
                .product(name: "onnxruntime", package: "onnxruntime-swift-package-manager"),
            ],
            resources: [.copy("data")]),
        .testTarget(name: "EdgeLogicTests", dependencies: ["EdgeLogic"]),
        .testTarget(name: "{{module}}Tests", dependencies: ["{{module}}", "EdgeLogic"]),
    ]
)
