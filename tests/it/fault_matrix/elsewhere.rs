//! The faults that the matrix of the writer does not hold: those of venues, data, disk and process, and where each is
//! proved.

use std::collections::HashSet;
use std::path::Path;

/// A fault, and the tests that prove what becomes of it.
type Proof = (&'static str, &'static [&'static str]);

#[rustfmt::skip]
const ELSEWHERE: &[Proof] = &[
    // The store.
    ("store away at the start", &["redis_away_at_the_start_is_tried_three_times_and_then_the_bars_wait_in_the_spool"]),
    ("store killed in the middle of a batch", &["redis_killed_and_started_again_in_a_run_costs_a_retry_and_no_bar"]),
    ("store away for long", &["store_that_is_down_for_a_part_ends_with_the_bars_of_a_replay", "full_spool_keeps_everything_and_holds_back_until_there_is_room", "a_store_that_is_out_for_a_part_of_the_hour_misses_nothing"]),
    ("store that is slow but well", &["no_more_than_the_bound_is_in_flight", "the_pace_is_never_exceeded_retries_included", "a_store_that_hangs_stops_the_feed_at_the_sum_of_the_bounds"]),
    ("wish to wait: seconds, date, absurd, negative", &["retry_after_is_seconds_or_a_date_and_capped", "a_wish_to_wait_that_one_batch_hears_holds_for_all"]),
    ("batch refused as a whole", &["a_pipeline_refused_as_a_whole_is_halved_down_to_the_refused_command"]),
    ("some commands of a batch refused", &["an_error_of_one_command_inside_two_hundred_sends_only_its_bars_again"]),
    ("script that stops half-way", &["a_wrong_type_is_seen_before_anything_is_written_and_refuses_its_item_only"]),
    ("script that the store forgot", &["a_store_that_forgot_its_scripts_is_told_them_again"]),
    ("acked writes lost by a failover", &["a_live_run_puts_right_what_a_failover_lost_when_it_is_asked_to", "what_is_missing_or_older_is_written_back_and_what_is_newer_stays"]),
    ("flush, eviction", &["a_store_that_lost_everything_gets_its_bars_back_in_every_view", "a_bar_whose_key_is_gone_is_written_again_whatever_its_version_was"]),
    ("revision of a bar that has expired", &["bars_older_than_the_ttl_or_than_what_is_kept_are_not_missed"]),
    ("limit of one command", &["a_command_that_is_too_large_ends_the_run_and_the_others_are_written", "bodies_stay_within_their_bound_and_answers_too"]),
    ("keep-alive that the store has ended, or a middlebox has forgotten", &["a_silent_store_gets_a_fresh_connection_before_anything_is_written", "a_silent_server_costs_the_response_timeout_and_its_connection"]),
    ("HTTP/2 connection that died while idle", &["a_connection_that_died_while_idle_is_replaced_before_a_write_meets_it"]),
    ("time-outs in a row", &["time_outs_in_a_row_ask_for_a_fresh_client"]),
    ("answer lost after a write of any view, guarded or not", &["a_lost_answer_leaves_what_an_uninterrupted_run_leaves"]),
    // Venues.
    ("cursor that stands still or goes round", &["stuck_cursor_is_named_with_symbol_page_and_position", "token_that_goes_in_a_circle_is_named"]),
    ("next page on another host", &["next_url_elsewhere_is_refused_before_any_request", "redirect_is_not_followed"]),
    ("rows of another day or symbol", &["rows_of_another_date_end_the_run", "trades_of_another_symbol_are_refused"]),
    ("rows twice, or lost between pages", &["pages_restarted_at_the_last_trade_lose_and_double_nothing", "page_without_the_last_trade_is_torn"]),
    ("empty page that goes on; an error inside a good status", &["empty_page_with_a_cursor_goes_on", "error_in_a_reply_of_200_is_not_a_day_without_trades"]),
    ("huge page, gzip bomb", &["huge_page_and_bomb_end_at_the_bound", "huge_page_and_bomb_are_named_and_the_next_run_goes_on"]),
    ("bytes that are no text, no JSON, too deep, or doubled", &["any_bytes_are_answered_without_a_panic", "json_of_any_shape_is_answered_without_a_panic", "every_target_holds_on_its_seeds_and_some_mutations"]),
    ("prices and sizes that are none", &["prices_no_trade_has_are_refused", "refused_numbers_are_answered", "refused_values_name_their_field"]),
    ("trades late or out of order", &["any_order_within_lateness_gives_the_bars_of_the_ordered_tape", "published_bar_is_revised_once_per_push"]),
    ("correction, cancel: early, late, twice, of an unknown trade", &["corrections_give_the_bars_of_the_corrected_tape", "correction_of_an_unknown_or_settled_trade_is_counted_and_changes_nothing"]),
    ("clocks that jump", &["no_trade_is_lost_and_no_bar_is_wrong_under_any_faults_and_kills", "idle_time_closes_bars_as_a_trade_would"]),
    ("clock changes, half days, holidays", &["the_regular_session_is_a_wall_clock_interval_on_both_sides_of_a_clock_change", "a_half_day_ends_at_one_o_clock", "closures_of_2000_to_2030_are_the_rule_and_the_announced_ones"]),
    ("socket that stands still", &["heartbeats_alone_are_a_stall_and_lead_to_a_new_connection", "a_reader_that_comes_late_finds_frames_and_no_stall"]),
    ("reconnects and their gaps", &["every_trade_comes_once_and_in_order_from_every_venue_under_every_fault", "hole_that_the_archive_refuses_stays_open_and_is_told_once"]),
    ("key refused, symbol refused, another connection of ours", &["refusals_that_nobody_but_a_person_can_lift_end_the_feed_at_once", "own_ghost_at_a_venue_of_one_connection_is_waited_for"]),
    ("row that breaks the decoder", &["row_that_is_no_trade_is_named_or_counted", "one_bad_trade_does_not_hide_its_neighbours"]),
    ("file cut off, or grown while it is read", &["crash_at_any_byte_keeps_every_whole_block", "killed_recording_is_read_up_to_its_last_block_and_gone_on_with"]),
    ("burst", &["slow_consumer_closes_the_connections_and_misses_nothing", "batch_and_queue_bounds_do_not_change_a_byte"]),
    ("storm of refusals, trickle", &["storms_that_pass_change_no_trade", "slow_drip_is_ended_by_the_total_timeout"]),
    // The disk.
    ("full disk", &["full_disk_is_told_and_costs_nothing_that_was_acked", "a_full_disk_is_told_once_and_with_room_again_the_run_goes_on"]),
    ("disk that fails to write", &["failed_disk_is_not_tried_again"]),
    ("torn page", &["a_torn_page_of_the_state_is_set_aside_and_the_source_fills_the_store"]),
    ("flipped bit", &["a_flipped_bit_of_the_state_is_set_aside_and_the_source_fills_the_store", "every_flipped_bit_is_found", "damaged_file_is_set_aside_and_never_served"]),
    ("cut off file", &["a_cut_state_is_set_aside_and_the_source_fills_the_store"]),
    ("power cut: unsynced, torn and reordered writes", &["power_cut_at_any_operation_loses_no_ack_and_halves_no_commit"]),
    ("file of a newer layout", &["file_of_a_newer_barmill_is_refused_and_left_alone", "newer_layout_is_refused"]),
    // The process.
    ("kill at any moment", &["killed_replay_into_redis_ends_as_if_never_killed", "killed_replay_into_a_faulty_upstash_ends_as_if_never_killed", "killed_and_started_again_it_ends_as_if_never_killed_in_every_layout"]),
    ("signal to stop", &["the_first_signal_writes_what_is_on_its_way_and_says_that_the_day_is_not_whole", "a_drain_that_outlasts_its_time_is_an_abort"]),
    ("second signal", &["the_second_signal_ends_a_drain_that_hangs", "second_signal_leaves_the_rest_in_the_spool_and_says_so_by_its_code"]),
    ("panic of an actor", &["a_panic_in_a_feed_is_a_fault_that_names_it", "a_panic_in_a_store_is_a_fault_that_names_the_writer"]),
    ("queues that wait for each other", &["an_abort_with_full_queues_is_an_abort_and_counts_what_is_not_written", "batch_and_queue_bounds_do_not_change_a_byte"]),
    ("slow reader of our own pages and streams", &["a_slow_reader_of_a_bar_stream_gets_every_bar_once"]),
    ("memory that grows", &["three_times_the_trades_need_no_more_memory", "day_ten_times_as_long_takes_no_more_memory"]),
    ("mistyped setting", &["a_mistyped_key_or_section_is_met_with_the_nearest", "limits_that_contradict_each_other_are_reported_where_they_were_set"]),
    ("list of symbols that changes", &["symbols_file_is_read_again_on_sighup_and_no_open_bar_is_lost"]),
    ("secret in a log", &["no_secret_is_in_any_output_however_loud_the_log", "keys_travel_in_headers_only", "tapped_frames_hold_what_was_received_and_no_key"]),
    ("two writers", &["two_writers_that_fight_leave_the_newest_bars_and_one_of_them", "second_owner_is_refused_with_the_folder", "a_second_writer_is_refused_by_name_and_time"]),
    ("writer that wakes up after its lease", &["a_lease_that_ended_may_be_taken_and_its_sleeping_holder_is_fenced", "a_writer_that_is_fenced_out_while_idle_ends_with_a_fault"]),
    ("quota over restarts", &["commands_are_counted_over_restarts_and_a_spent_budget_sends_nothing"]),
];

/// The names of all tests below a folder.
fn tests(folder: &Path, found: &mut HashSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            tests(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("text");
            let mut is_test = false;
            for line in text.lines() {
                is_test |= line.trim().starts_with("#[") && line.contains("test");
                let Some((_, name)) = line.split_once("fn ") else {
                    continue;
                };
                if std::mem::take(&mut is_test) {
                    found.extend(name.split('(').next().map(str::to_owned));
                }
            }
        }
    }
}

#[test]
fn every_proof_that_is_named_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = HashSet::new();
    for folder in ["src", "crates", "tests", "fuzz/src"] {
        tests(&root.join(folder), &mut found);
    }
    let named = ELSEWHERE
        .iter()
        .flat_map(|(fault, tests)| tests.iter().map(move |test| (fault, test)));
    let absent: Vec<_> = named.filter(|(_, test)| !found.contains(**test)).collect();
    assert!(absent.is_empty(), "no such tests: {absent:#?}");
    assert!(ELSEWHERE.iter().all(|(_, tests)| !tests.is_empty()));
}
