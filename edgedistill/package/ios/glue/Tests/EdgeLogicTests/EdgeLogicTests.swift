import Foundation
import XCTest

@testable import EdgeLogic

/// What needs no model and no phone: `swift test --filter EdgeLogicTests`, on Linux too.
final class EdgeLogicTests: XCTestCase {
    func testSoftmaxIsOfLogitsDividedByTheTemperature() {
        let found = Answers.softmax([1, 3], temperature: 2)
        XCTAssertEqual(found[1], 1 / (1 + exp(-1)), accuracy: 1e-12)
    }

    func testTheFirstOfEqualsIsTheLargest() {
        XCTAssertEqual(Answers.largest([1, 5, 5]), 1)
        XCTAssertNil(Answers.largest([Double]()))
    }

    func testIntegersAreRoundedToEvenAndCut() throws {
        let spec = try decoded(
            TensorSpec.self,
            #"{"name":"x","shape":[null,3],"layout":"NC","dtype":"int8","scale":0.5,"zero_point":1}"#)
        let tensor = Tensor(real: [0.25, 0.75, 1000], spec: spec)
        XCTAssertEqual(tensor.values, [1, 3, 127])
        XCTAssertEqual(tensor.reals(spec), [0, 1, 63])
    }

    func testAPictureIsHalvedAsPillowDoes() throws {
        let four = try Pixels(height: 1, width: 4, channels: 1, bytes: [0, 10, 20, 255])
        XCTAssertEqual(four.resized(1, 2, 0, 0, 4, 1).bytes, [7, 119])
    }

    func testAKeywordIsHeardOnceWithinItsRest() throws {
        let told = try decoded(
            Listening.self,
            #"""
            {"program":"step","rate":10,"hop":10,"lead_in":0,"smoothing":1,"refractory":2,
             "thresholds":{"stop":0.5}}
            """#)
        var smoothing = Smoothing(told, keywords: ["stop"])
        let heard = (0..<4).map { _ in smoothing.hear([0.9]).count }
        XCTAssertEqual(heard, [1, 0, 0, 1])
    }

    func testWhatRepeatsItselfIsCut() throws {
        let guards = try decoded(
            Transcription.Guards.self, #"{"repeats":2,"longest":4,"no_speech":0.6}"#)
        XCTAssertNil(Decoder.again([7, 1, 2, 1, 2], guards))
        XCTAssertEqual(Decoder.again([7, 1, 2, 1, 2, 1, 2, 1, 2], guards), 3)
    }

    func testEditsArePutInLeftOutOrChanged() {
        let found = [[1, 2, 3], [1, 3, 3, 4], [2, 3], []].map { SelfTest.edits([1, 2, 3], $0) }
        XCTAssertEqual(found, [0, 2, 1, 3])
    }

    func testAShareOfATextsTokensMayBeEdits() throws {
        XCTAssertEqual(
            try SelfTest.check(edits: 0, of: 8, share: 0),
            Check(worst: 0, tolerance: 0, tokens: 8))
        XCTAssertEqual(
            try SelfTest.check(edits: 2, of: 8, share: 0.25),
            Check(worst: 2, tolerance: 2, tokens: 8))
        XCTAssertThrowsError(try SelfTest.check(edits: 3, of: 8, share: 0.25))
        XCTAssertThrowsError(try SelfTest.check(edits: 1, of: 8, share: 0))
    }

    private func decoded<T: Decodable>(_ type: T.Type, _ text: String) throws -> T {
        try JSONDecoder().decode(type, from: Data(text.utf8))
    }
}
