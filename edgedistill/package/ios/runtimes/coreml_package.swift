// swift-tools-version:5.9
import PackageDescription

let package = Package(
    name: "{{module}}",
    platforms: [.iOS(.v17), .macOS(.v14)],
    products: [.library(name: "{{module}}", targets: ["{{module}}", "EdgeLogic"])],
    targets: [
        .target(name: "EdgeLogic"),
        // Copied, not processed: the model is compiled on the device, so that `app.json` names it.
        .target(name: "{{module}}", dependencies: ["EdgeLogic"], resources: [.copy("data")]),
        .testTarget(name: "EdgeLogicTests", dependencies: ["EdgeLogic"]),
        .testTarget(name: "{{module}}Tests", dependencies: ["{{module}}", "EdgeLogic"]),
    ]
)
