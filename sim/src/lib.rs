//! The world around c2c-authd for its tests, benches and demo.
