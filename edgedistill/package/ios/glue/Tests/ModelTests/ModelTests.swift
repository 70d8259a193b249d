import XCTest

@testable import {{module}}

final class ModelTests: XCTestCase {
    /// The runtime of this device answers as the compile saw it.
    func testTheModelGivesItsGoldenData() async throws {
        let model = try await Model.open()
        let check = try await model.selfTest()
        let what = check.tokens.map { "edits of \($0) tokens" } ?? "worst difference"
        print("\(what): \(check.worst), \(check.tolerance) is allowed")
    }
}
